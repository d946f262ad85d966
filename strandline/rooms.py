"""Rooms side by side, each in order: what came first in a room is handled first there."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from fsm.ids import RoomId

T = TypeVar("T")


class RoomQueues(Generic[T]):
    """A queue and a worker for each room that has something to do, and none for the others.

    Args:
        handle: Handles one item. What it raises ends the program: it must deal with its own.
        most: How many items may wait in all rooms together; ``put`` waits beyond that, so that a
            slow agent slows the sync down instead of filling the memory.
    """

    def __init__(self, handle: Callable[[T], Awaitable[None]], *, most: int) -> None:
        self._handle = handle
        self._places = asyncio.Semaphore(most)
        self._rooms: dict[RoomId, deque[T]] = {}
        self._workers: asyncio.TaskGroup | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as self._workers:
            for room_id in self._rooms:
                self._begin(room_id)
            await asyncio.Event().wait()

    async def put(self, room_id: RoomId, item: T) -> None:
        """Append ``item`` to the room's queue, once there is a place for it."""
        await self._places.acquire()
        if room_id in self._rooms:
            self._rooms[room_id].append(item)
            return
        self._rooms[room_id] = deque([item])
        self._begin(room_id)

    def waiting(self, room_id: RoomId) -> tuple[T, ...]:
        """What waits in the room's queue, besides what is in hand."""
        return tuple(self._rooms.get(room_id, ()))

    async def drain(self) -> None:
        """Begin nothing new, and return when what is in hand is done."""
        self._stopping = True
        await self._idle.wait()

    def _begin(self, room_id: RoomId) -> None:
        if self._workers is not None:
            self._idle.clear()
            self._workers.create_task(self._work(room_id), name=f"room {room_id}")

    async def _work(self, room_id: RoomId) -> None:
        items = self._rooms[room_id]
        while items and not self._stopping:
            await self._handle(items.popleft())
            self._places.release()
        del self._rooms[room_id]
        if not self._rooms:
            self._idle.set()
