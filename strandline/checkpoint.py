"""The checkpoint: the newest sync token below which everything is handled, kept in the store."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from attrs import define, field

from fsm.failpoints import reach
from fsm.ids import EventId, SyncToken


@define(eq=False)
class Batch:
    """One sync response on its way.

    Args:
        token: Where the sync after it goes on.
        left: How many of its items are not handled yet.
        passed: The events that were in it.
    """

    token: SyncToken
    left: int
    passed: list[EventId] = field(factory=list)


class Checkpoint:
    """A low watermark over the batches, as a consumer of a log keeps one.

    Args:
        save: Makes a token durable, and learns which events now lie below it.
    """

    def __init__(self, save: Callable[[SyncToken, list[EventId]], Awaitable[None]]) -> None:
        self._save = save
        self._batches: deque[Batch] = deque()
        self._moved = asyncio.Event()
        self.kept = asyncio.Event()
        """Is set once a token has been saved in this life of the process."""

    def begin(self, token: SyncToken, items: int) -> Batch:
        """A batch of so many items has arrived."""
        batch = Batch(token, items)
        self._batches.append(batch)
        self._look()
        return batch

    def done(self, batch: Batch) -> None:
        """One more of the batch's items is handled."""
        batch.left -= 1
        self._look()

    async def run(self) -> None:
        """Save the watermark whenever it has moved; many moves during one save are one more."""
        while True:
            await self._moved.wait()
            await self.flush()

    async def flush(self) -> None:
        """Save the watermark now, if it has moved."""
        self._moved.clear()
        token: SyncToken | None = None
        passed: list[EventId] = []
        while self._batches and not self._batches[0].left:
            batch = self._batches.popleft()
            token = batch.token
            passed += batch.passed
        if token is not None:
            reach("checkpoint.save.before")
            await self._save(token, passed)
            self.kept.set()
            reach("checkpoint.save.after")

    def _look(self) -> None:
        if self._batches and not self._batches[0].left:
            self._moved.set()
