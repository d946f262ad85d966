"""Room queues with a maximum size. Items that don't fit are read later from the room's history."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from attrs import frozen

from fsm.values.ids import RoomId
from matrix import RoomQueues

T = TypeVar("T")

MAX_ITEMS_PER_ROOM = 100
"""The maximum number of waiting items of one room. Beyond it, ``offer`` refuses items, which are
read later from the room's history."""


@frozen
class _Entry(Generic[T]):
    item: T
    takes_place: bool


class BoundedRoomQueues(Generic[T]):
    """Handles each room's items in order, with a limit on the number of items in all queues.

    Args:
        limit: The maximum number of unhandled items of all rooms together. At the limit, ``put``
            waits, and ``offer`` refuses.
        refill: Called with a room whose queue is empty. Returns one more item for the room, or
            None; the item does not count against the limit. A room of which ``offer`` has refused
            an item is also passed to ``refill`` later, when other items have been handled.
    """

    def __init__(self, limit: int, refill: Callable[[RoomId], T | None] = lambda _: None) -> None:
        self._places = asyncio.Semaphore(limit)
        self._refill = refill
        self._refused: dict[RoomId, None] = {}
        self._queues: RoomQueues[_Entry[T]] = RoomQueues(self._next)
        self._is_stopping = False

    async def run(self, handle: Callable[[T], Awaitable[None]]) -> None:
        """Handle items until cancelled.

        Args:
            handle: Called with each item; it returns when the item is handled. An exception that it
                raises ends the program.
        """

        async def handle_entry(entry: _Entry[T]) -> None:
            await handle(entry.item)
            if entry.takes_place:
                self._places.release()
                self._open_refused()

        await self._queues.run(handle_entry)

    async def put(self, room_id: RoomId, item: T) -> None:
        """Append ``item`` to the room's queue, after waiting for free space."""
        await self._places.acquire()
        self._queues.add(room_id, _Entry(item, takes_place=True))

    async def offer(self, room_id: RoomId, item: T) -> bool:
        """Append ``item`` to the room's queue if neither the room nor the total is at its limit.

        Returns:
            Whether ``item`` was appended.
        """
        is_full = len(self._queues.waiting(room_id)) >= MAX_ITEMS_PER_ROOM
        if is_full or self._places.locked():
            self._refused[room_id] = None
            return False
        await self.put(room_id, item)  # there is a place: it does not wait
        return True

    def waiting(self, room_id: RoomId) -> tuple[T, ...]:
        """The room's items whose handling has not begun."""
        return tuple(entry.item for entry in self._queues.waiting(room_id))

    async def stop(self) -> None:
        """Start no further item, and wait until those in progress are done."""
        self._is_stopping = True
        await self._queues.stop()

    def _next(self, room_id: RoomId) -> _Entry[T] | None:
        """Return one more item for a room whose queue is empty; None if there is none.

        If there is none, start a worker for another room of which ``offer`` has refused an item.
        """
        item = self._refill(room_id)
        if item is not None:
            return _Entry(item, takes_place=False)
        self._open_refused()
        return None

    def _open_refused(self) -> None:
        """Start a worker for the next room of which ``offer`` has refused an item.

        A room that has a worker already is left out.
        """
        while self._refused and not self._is_stopping:
            room_id = next(iter(self._refused))
            del self._refused[room_id]
            if room_id not in self._queues:  # otherwise its own worker calls ``refill``
                self._queues.open(room_id)
                return
