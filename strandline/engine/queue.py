"""Rooms side by side, each in order: what came first in a room is handled first there."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from fsm.values.ids import RoomId

T = TypeVar("T")


MOST_IN_ROOM = 100
"""So many items may wait in one room. What arrives beyond that is read later, from its history."""


class RoomQueues(Generic[T]):
    """A queue and a worker for each room that has something to do, and none for the others.

    Args:
        handle: Handles one item. What it raises ends the program: it must deal with its own.
        most: How many items may wait in all rooms together; beyond that ``put`` waits, and
            ``offer`` refuses.
        more: Asked when a room's queue is empty: a further item for it, or None. It is asked too
            for a room with no queue of which something was refused, once a place is free.
    """

    def __init__(
        self,
        handle: Callable[[T], Awaitable[None]],
        *,
        most: int,
        more: Callable[[RoomId], T | None] = lambda _: None,
    ) -> None:
        self._handle = handle
        self._more = more
        self._places = asyncio.Semaphore(most)
        self._rooms: dict[RoomId, deque[T]] = {}
        self._refused: dict[RoomId, None] = {}
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
        else:
            self._open(room_id, item)

    async def offer(self, room_id: RoomId, item: T) -> bool:
        """Append ``item`` unless too many wait, in the room or in all of them; whether it was."""
        if self._places.locked() or len(self._rooms.get(room_id, ())) >= MOST_IN_ROOM:
            self._refused[room_id] = None
            return False
        await self.put(room_id, item)  # there is a place: it does not wait
        return True

    def waiting(self, room_id: RoomId) -> tuple[T, ...]:
        """What waits in the room's queue, besides what is in hand."""
        return tuple(self._rooms.get(room_id, ()))

    async def drain(self) -> None:
        """Begin nothing new, and return when what is in hand is done."""
        self._stopping = True
        await self._idle.wait()

    def _open(self, room_id: RoomId, *items: T) -> None:
        self._rooms[room_id] = deque(items)
        self._begin(room_id)

    def _begin(self, room_id: RoomId) -> None:
        if self._workers is not None:
            self._idle.clear()
            self._workers.create_task(self._work(room_id), name=f"room {room_id}")

    async def _work(self, room_id: RoomId) -> None:
        items = self._rooms[room_id]
        while not self._stopping:
            if items:
                await self._handle(items.popleft())
                self._places.release()
                self._open_refused()
            elif (more := self._more(room_id)) is not None:
                await self._handle(more)
            else:
                break
        del self._rooms[room_id]
        self._open_refused()
        if not self._rooms:
            self._idle.set()

    def _open_refused(self) -> None:
        """Something has ended: the next room that found no place goes on, if it has no worker."""
        while self._refused and not self._stopping:
            room_id = next(iter(self._refused))
            del self._refused[room_id]
            if room_id not in self._rooms:  # else its own worker asks for more
                self._open(room_id)
                return
