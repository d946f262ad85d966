import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fsm.values.ids import RoomId
from matrix import RoomQueues

ROOM, OTHER = RoomId("!room"), RoomId("!other")


class Gate:
    """Handles items, each once the gate is open for one more."""

    def __init__(self) -> None:
        self.handled: list[str] = []
        self._places = asyncio.Semaphore(0)

    async def handle(self, item: str) -> None:
        await self._places.acquire()
        self.handled.append(item)

    async def let_through(self, number: int) -> None:
        goal = len(self.handled) + number
        for _ in range(number):
            self._places.release()
        while len(self.handled) < goal:
            await asyncio.sleep(0)
        await asyncio.sleep(0)


@asynccontextmanager
async def working(
    queues: RoomQueues[str], handle: Callable[[str], Awaitable[None]]
) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(queues.run(handle))
        yield
        task.cancel()


async def test_items_added_before_it_runs_are_handled_in_order() -> None:
    gate, queues = Gate(), RoomQueues[str]()
    for item in ("1", "2", "3"):
        queues.add(ROOM, item)

    async with working(queues, gate.handle):
        await gate.let_through(3)
        await queues.drained()

    assert gate.handled == ["1", "2", "3"]
    assert ROOM not in queues


async def test_a_room_that_is_handled_slowly_delays_no_other() -> None:
    gate, queues, others = Gate(), RoomQueues[str](), list[str]()

    async def handle(item: str) -> None:
        if item == "slow":
            await gate.handle(item)
        else:
            others.append(item)

    async with working(queues, handle):
        queues.add(ROOM, "slow")
        queues.add(OTHER, "fast")
        while not others:
            await asyncio.sleep(0)
        assert gate.handled == []
        await gate.let_through(1)


async def test_the_backlog_counts_the_item_in_progress_and_waiting_does_not() -> None:
    gate, queues = Gate(), RoomQueues[str]()
    for item in ("1", "2", "3"):
        queues.add(ROOM, item)

    async with working(queues, gate.handle):
        await asyncio.sleep(0)
        below = asyncio.ensure_future(queues.wait_for_backlog(ROOM, 2))
        await queues.wait_for_backlog(OTHER, 0)
        await asyncio.sleep(0)
        assert not below.done()
        assert queues.waiting(ROOM) == ("2", "3")
        await gate.let_through(1)
        await asyncio.wait_for(below, 1)
        assert queues.waiting(ROOM) == ("3",)
        await gate.let_through(2)


async def test_an_empty_queue_is_refilled_until_there_is_nothing_more() -> None:
    gate, more = Gate(), ["more", "even more"]
    queues = RoomQueues[str](lambda _: more.pop(0) if more else None)

    async with working(queues, gate.handle):
        queues.add(ROOM, "first")
        await gate.let_through(3)
        await queues.drained()

    assert gate.handled == ["first", "more", "even more"]


async def test_stopping_lets_items_in_progress_end_and_begins_no_other() -> None:
    gate, queues = Gate(), RoomQueues[str]()
    queues.add(ROOM, "in progress")
    queues.add(ROOM, "waiting")

    async with working(queues, gate.handle):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        stopping = asyncio.ensure_future(queues.stop())
        await asyncio.sleep(0)
        assert not stopping.done()
        await gate.let_through(1)
        await asyncio.wait_for(stopping, 1)

    assert gate.handled == ["in progress"]
