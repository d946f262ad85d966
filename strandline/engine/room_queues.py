"""Room queues with a maximum size. Items that don't fit are read later from the room's history."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from attrs import frozen

from fsm.values.ids import RoomId
from matrix import RoomQueues

T = TypeVar("T")

MAX_ITEMS_PER_ROOM = 100
"""Maximum items that ``offer`` accepts for one room; further ones are read later."""


@frozen
class _Entry(Generic[T]):
    item: T
    takes_place: bool


class BoundedRoomQueues(Generic[T]):
    """Room queues with a limited total number of items that are not handled.

    Args:
        limit: The maximum number of items of all rooms together. At the limit, ``put`` waits, and
            ``offer`` refuses.
        refill: Called when a room's queue is empty: returns one more item for the room, which does
            not count against the limit, or None. It is also called for rooms of which ``offer``
            refused an item, one room at a time when the queues are below the limit.
    """

    def __init__(self, limit: int, refill: Callable[[RoomId], T | None] = lambda _: None) -> None:
        self._places = asyncio.Semaphore(limit)
        self._refill = refill
        self._refused: dict[RoomId, None] = {}
        self._queues: RoomQueues[_Entry[T]] = RoomQueues(self._next)
        self._is_stopping = False

    async def run(self, handle: Callable[[T], Awaitable[None]]) -> None:
        """Handle items until cancelled. An exception that ``handle`` raises ends the program."""

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
        """Append ``item``, or return False if the room or the total is at its limit."""
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
        """A further item for a room without any; without one, the next refused room is opened."""
        item = self._refill(room_id)
        if item is not None:
            return _Entry(item, takes_place=False)
        self._open_refused()
        return None

    def _open_refused(self) -> None:
        """Start a worker for the next refused room that has none."""
        while self._refused and not self._is_stopping:
            room_id = next(iter(self._refused))
            del self._refused[room_id]
            if room_id not in self._queues:  # otherwise its own worker calls ``refill``
                self._queues.open(room_id)
                return
