"""The store as the engine uses it: each operation waits until the store is available."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection
from typing import ParamSpec, TypeVar

import structlog

from durable.records import Deadline
from durable.store import Commit, Progress, Store, Stored, StoreUnavailable, UnfinishedAnswer
from fsm.outbox import OutboxRow
from fsm.values.ids import EventId, RoomId
from fsm.values.retry import STORE, RetryTiming, retry

_log = structlog.get_logger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

TIMING = RetryTiming(sleep=asyncio.sleep, monotonic=time.monotonic, uniform=random.uniform)


class RetryingStore:
    """Calls a store's operations, and repeats each while the store is unavailable.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, cls: type[R], key: str) -> Stored[R]:
        """Return the record under the key and its stored JSON text; both are None if there is none.

        Args:
            cls: The record's class.
            key: The record's key.
        """
        return await until_available(self._store.read, cls, key)

    async def is_handled(self, event_id: EventId) -> bool:
        """Whether the event is to be ignored when the homeserver sends it again."""
        return await until_available(self._store.is_handled, event_id)

    async def stream(self, event_id: EventId) -> UnfinishedAnswer | None:
        """Return the progress of the answer to the event; None if no answer is in progress."""
        return await until_available(self._store.stream, event_id)

    async def due(self, flows: Collection[str], *, exclude: Collection[str]) -> dict[str, Deadline]:
        """Return a limited number of passed deadlines, by the keys of their conversations' records.

        Args:
            flows: The names of the flows whose conversations are searched.
            exclude: Keys of records to leave out.
        """
        return await until_available(self._store.due, flows, exclude=exclude)

    async def is_joined(self, room_id: RoomId) -> bool:
        """Whether the bot was in the room at the checkpoint."""
        return await until_available(self._store.checkpoint.is_joined, room_id)

    async def commit(self, commit: Commit) -> tuple[OutboxRow, ...]:
        """Write all changes of a turn; return its outbox rows as stored.

        Raises:
            AlreadyHandled: The event was handled before. Nothing was written.
        """
        return await until_available(self._store.commit, commit)

    async def save_checkpoint(self, progress: Progress) -> None:
        """Store the changes of the checkpoint."""
        await until_available(self._store.checkpoint.save, progress)

    async def mark_delivered(self, row: OutboxRow, event_id: EventId | None) -> None:
        """Delete a row that the homeserver has acknowledged.

        Args:
            row: The row.
            event_id: The event that the homeserver created for the row; None if it created none.
        """
        await until_available(self._store.outbox.mark_delivered, row, event_id)

    async def park_row(self, row: OutboxRow, problem: str) -> None:
        """Park a row that can never be delivered, with the error text ``problem``."""
        await until_available(self._store.outbox.park_row, row, problem)

    async def park_event(
        self,
        event_id: EventId,
        room_id: RoomId,
        *,
        problem: str,
        attempts: int,
        outbox: tuple[OutboxRow, ...],
    ) -> tuple[OutboxRow, ...]:
        """Park an event that fails every time; it then counts as handled.

        Args:
            event_id: The event.
            room_id: The event's room.
            problem: The text of the last error.
            attempts: How often the event was tried.
            outbox: Rows of messages to the room about the failure.

        Returns:
            The rows of ``outbox`` as they are stored.
        """
        return await until_available(
            self._store.parking.park_event,
            event_id,
            room_id,
            error=problem,
            attempts=attempts,
            outbox=outbox,
        )


async def until_available(
    operation: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs
) -> R:
    """Call ``operation`` and return its result. While the store is unavailable, wait and retry."""
    failures = 0

    def note(error: Exception, attempt: int) -> None:
        nonlocal failures
        if isinstance(error, StoreUnavailable):
            failures = attempt
            if attempt == 1:
                _log.error("store unavailable, no turns are taken", problem=str(error))

    result = await retry(
        lambda: operation(*args, **kwargs), STORE, _store_retry, TIMING, on_failure=note
    )
    if failures:
        _log.warning("store available again")
    return result


def _store_retry(error: Exception) -> float | None:
    return 0.0 if isinstance(error, StoreUnavailable) else None
