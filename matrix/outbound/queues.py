"""One ordered queue and at most one worker for each room; rooms run in parallel."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from attrs import define, field

from fsm.values.ids import RoomId

T = TypeVar("T")

Handle = Callable[[T], Awaitable[None]]


@define
class _Room(Generic[T]):
    waiting: deque[T] = field(factory=deque)
    is_busy: bool = False

    @property
    def pending(self) -> int:
        return len(self.waiting) + self.is_busy


class RoomQueues(Generic[T]):
    """Handles each room's items in the order in which they were added.

    A room has a worker while it has items. Items added before ``run`` are handled once it runs.

    Args:
        refill: Called with a room id when that room's queue is empty. Returns one more item for the
            room, or None to end the room's worker.
    """

    def __init__(self, refill: Callable[[RoomId], T | None] = lambda _: None) -> None:
        self._refill = refill
        self._rooms: dict[RoomId, _Room[T]] = {}
        self._start_worker: Callable[[RoomId], object] = lambda _: None  # until ``run``
        self._workers = 0
        self._is_stopping = False
        self._changed: asyncio.Event | None = None  # set only while a caller waits for it

    async def run(self, handle: Handle[T]) -> None:
        """Handle items until cancelled. An exception that ``handle`` raises cancels all workers.

        Args:
            handle: Handles one item. The room's next item is handled after it returns.

        Raises:
            ExceptionGroup: What ``handle`` raised.
        """
        async with asyncio.TaskGroup() as workers:

            def start(room_id: RoomId) -> None:
                self._workers += 1
                workers.create_task(self._work(room_id, handle), name=f"room {room_id}")

            self._start_worker = start
            for room_id in self._rooms:
                start(room_id)
            await asyncio.Event().wait()

    def __contains__(self, room_id: RoomId) -> bool:
        """Whether the room has items, or a worker."""
        return room_id in self._rooms

    def add(self, room_id: RoomId, item: T) -> None:
        """Append ``item`` to the room's queue, and start a worker if the room has none."""
        if room_id not in self._rooms:
            self.open(room_id)
        self._rooms[room_id].waiting.append(item)

    def open(self, room_id: RoomId) -> None:
        """Start a worker for a room that has none, with an empty queue.

        The worker gets its first item from ``refill``, unless an item is added first.
        """
        self._rooms[room_id] = _Room()
        self._start_worker(room_id)

    def waiting(self, room_id: RoomId) -> tuple[T, ...]:
        """The room's items whose handling has not begun."""
        room = self._rooms.get(room_id)
        return () if room is None else tuple(room.waiting)

    async def wait_for_backlog(self, room_id: RoomId, limit: int) -> None:
        """Wait until the room has at most ``limit`` items, including the one in progress."""
        while (room := self._rooms.get(room_id)) is not None and room.pending > limit:
            await self._change()

    async def drained(self) -> None:
        """Wait until no room has items."""
        while self._rooms:
            await self._change()

    async def stop(self) -> None:
        """Start no further item, and wait until those in progress are done."""
        self._is_stopping = True
        while self._workers:
            await self._change()

    async def _work(self, room_id: RoomId, handle: Handle[T]) -> None:
        room = self._rooms[room_id]
        while (item := self._next(room_id, room)) is not None:
            room.is_busy = True
            await handle(item)
            room.is_busy = False
            self._notify()
        del self._rooms[room_id]
        self._workers -= 1
        self._notify()

    def _next(self, room_id: RoomId, room: _Room[T]) -> T | None:
        if self._is_stopping:
            return None
        return room.waiting.popleft() if room.waiting else self._refill(room_id)

    async def _change(self) -> None:
        """Wait until an item is done, or a worker has ended."""
        if self._changed is None:
            self._changed = asyncio.Event()
        await self._changed.wait()

    def _notify(self) -> None:
        """Wake everyone who waits for a change."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None
