"""The checkpoint: the newest sync token below which everything is handled, kept in the store."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping

from attrs import define, field

from fsm.failpoints import reach
from fsm.ids import EventId, RoomId, SyncToken


@define(eq=False)
class Batch:
    """One sync response on its way.

    Args:
        token: Where the sync after it goes on.
        left: How many of its items are not handled yet.
        memberships: The rooms that the bot joined (True) or left (False) in it.
        passed: The events that were in it.
    """

    token: SyncToken
    left: int
    memberships: Mapping[RoomId, bool] = field(factory=dict)
    passed: list[EventId] = field(factory=list)


class Checkpoint:
    """A low watermark over the batches, as a consumer of a log keeps one.

    Args:
        save: Makes a token durable, and learns which events now lie below it, and which rooms the
            bot joined (True) or left (False) there.
    """

    def __init__(
        self,
        save: Callable[[SyncToken, list[EventId], Mapping[RoomId, bool]], Awaitable[None]],
    ) -> None:
        self._save = save
        self._batches: deque[Batch] = deque()
        self._moved = asyncio.Event()
        self.kept = asyncio.Event()
        """Is set once a token has been saved in this life of the process."""

    def begin(
        self, token: SyncToken, items: int, memberships: Mapping[RoomId, bool] | None = None
    ) -> Batch:
        """A batch of so many items has arrived, in which the bot joined or left rooms."""
        batch = Batch(token, items, memberships or {})
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
        memberships: dict[RoomId, bool] = {}
        while self._batches and not self._batches[0].left:
            batch = self._batches.popleft()
            token = batch.token
            passed += batch.passed
            memberships |= batch.memberships
        if token is not None:
            reach("checkpoint.save.before")
            await self._save(token, passed, memberships)
            self.kept.set()
            reach("checkpoint.save.after")

    def _look(self) -> None:
        if self._batches and not self._batches[0].left:
            self._moved.set()
