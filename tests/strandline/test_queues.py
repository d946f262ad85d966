import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fsm.ids import EventId, RoomId, SyncToken
from strandline.checkpoint import Checkpoint
from strandline.locks import KeyLocks
from strandline.rooms import RoomQueues

FAST, SLOW = RoomId("!fast"), RoomId("!slow")


@asynccontextmanager
async def working(queues: RoomQueues[str]) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(queues.run())
        yield
        task.cancel()


async def test_a_rooms_items_are_handled_in_order_and_a_slow_room_delays_no_other() -> None:
    handled: list[str] = []
    slow_may_end = asyncio.Event()

    async def handle(item: str) -> None:
        if item == "slow":
            await slow_may_end.wait()
        handled.append(item)

    queues = RoomQueues(handle, most=10)
    async with working(queues):
        await queues.put(SLOW, "slow")
        await queues.put(SLOW, "after slow")
        for number in range(3):
            await queues.put(FAST, f"fast {number}")
        while len(handled) < 3:
            await asyncio.sleep(0)
        slow_may_end.set()
        while len(handled) < 5:
            await asyncio.sleep(0)

    assert handled == ["fast 0", "fast 1", "fast 2", "slow", "after slow"]


async def test_put_waits_while_too_many_items_wait() -> None:
    may_go_on = asyncio.Event()

    async def handle(_item: str) -> None:
        await may_go_on.wait()

    queues = RoomQueues(handle, most=2)
    async with working(queues):
        await queues.put(SLOW, "1")
        await queues.put(SLOW, "2")
        third = asyncio.create_task(queues.put(FAST, "3"))
        await asyncio.sleep(0.01)
        assert not third.done()
        may_go_on.set()
        await third


async def test_draining_finishes_what_is_in_hand_and_begins_nothing_new() -> None:
    handled: list[str] = []
    may_go_on = asyncio.Event()

    async def handle(item: str) -> None:
        await may_go_on.wait()
        handled.append(item)

    queues = RoomQueues(handle, most=10)
    async with working(queues):
        await queues.put(SLOW, "in hand")
        await queues.put(SLOW, "waiting")
        await asyncio.sleep(0)
        draining = asyncio.create_task(queues.drain())
        await asyncio.sleep(0)
        may_go_on.set()
        await draining

    assert handled == ["in hand"]


async def test_items_that_came_before_the_workers_are_handled_once_they_run() -> None:
    handled: list[str] = []

    async def handle(item: str) -> None:
        handled.append(item)

    queues = RoomQueues(handle, most=10)
    await queues.put(FAST, "early")
    async with working(queues):
        while not handled:
            await asyncio.sleep(0)

    assert handled == ["early"]


async def test_the_checkpoint_waits_for_the_oldest_batch() -> None:
    saved: list[tuple[str, list[EventId]]] = []

    async def save(token: SyncToken, passed: list[EventId], _: Mapping[RoomId, bool]) -> None:
        saved.append((token, passed))

    checkpoint = Checkpoint(save)
    first = checkpoint.begin(SyncToken("s1"), 2)
    second = checkpoint.begin(SyncToken("s2"), 1)
    first.passed.append(EventId("$1"))
    second.passed.append(EventId("$2"))
    checkpoint.begin(SyncToken("s3"), 0)

    checkpoint.done(second)
    await checkpoint.flush()
    checkpoint.done(first)
    await checkpoint.flush()
    assert saved == []
    checkpoint.done(first)
    await checkpoint.flush()
    await checkpoint.flush()
    assert saved == [("s3", ["$1", "$2"])]


async def test_the_checkpoint_is_saved_when_it_moves() -> None:
    saved = asyncio.Event()

    async def save(
        _token: SyncToken, _passed: list[EventId], _memberships: Mapping[RoomId, bool]
    ) -> None:
        saved.set()

    checkpoint = Checkpoint(save)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(checkpoint.run())
        checkpoint.begin(SyncToken("s1"), 0)
        await saved.wait()
        task.cancel()


async def test_locks_exclude_by_key_and_leave_nothing_behind() -> None:
    locks = KeyLocks()
    inside: list[str] = []

    async def hold(name: str, *keys: str) -> None:
        async with locks.hold(*keys):
            inside.append(name)
            await asyncio.sleep(0)
            assert [n for n in inside if n != "c"] == [name] or name == "c"
            inside.remove(name)

    async with asyncio.TaskGroup() as tasks:
        for name, keys in [("a", "xy"), ("b", "yx"), ("c", "z"), ("d", "x")]:
            tasks.create_task(hold(name, *keys))

    assert len(locks) == 0
