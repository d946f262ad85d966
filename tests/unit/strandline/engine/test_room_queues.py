import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from durable.store import Behind, Progress
from fsm import EventKind, Inbound
from fsm.values.ids import EventId, RoomId, SyncToken, UserId
from matrix import SyncBatch, TimelineGap
from strandline.engine import checkpoint
from strandline.engine.checkpoint import STUCK_SECONDS, BatchProgress, Checkpoint
from strandline.engine.room_queues import MAX_ITEMS_PER_ROOM, BoundedRoomQueues
from strandline.engine.turns import KeyLocks

FAST, SLOW = RoomId("!fast"), RoomId("!slow")


@asynccontextmanager
async def working(
    queues: BoundedRoomQueues[str], handle: Callable[[str], Awaitable[None]]
) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(queues.run(handle))
        yield
        task.cancel()


async def test_a_rooms_items_are_handled_in_order_and_a_slow_room_delays_no_other() -> None:
    handled: list[str] = []
    slow_may_end = asyncio.Event()

    async def handle(item: str) -> None:
        if item == "slow":
            await slow_may_end.wait()
        handled.append(item)

    queues = BoundedRoomQueues[str](10)
    async with working(queues, handle):
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

    queues = BoundedRoomQueues[str](2)
    async with working(queues, handle):
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

    queues = BoundedRoomQueues[str](10)
    async with working(queues, handle):
        await queues.put(SLOW, "in hand")
        await queues.put(SLOW, "waiting")
        await asyncio.sleep(0)
        draining = asyncio.create_task(queues.stop())
        await asyncio.sleep(0)
        may_go_on.set()
        await draining

    assert handled == ["in hand"]


async def test_items_that_came_before_the_workers_are_handled_once_they_run() -> None:
    handled: list[str] = []

    async def handle(item: str) -> None:
        handled.append(item)

    queues = BoundedRoomQueues[str](10)
    await queues.put(FAST, "early")
    async with working(queues, handle):
        while not handled:
            await asyncio.sleep(0)

    assert handled == ["early"]


def ids(*event_ids: str) -> tuple[EventId, ...]:
    return tuple(map(EventId, event_ids))


class Saved:
    """A checkpoint, and what it has saved."""

    def __init__(self) -> None:
        self.progress: list[Progress] = []
        self.now = 0.0
        self.checkpoint = Checkpoint(self._save, monotonic=lambda: self.now)

    async def _save(self, progress: Progress) -> None:
        self.progress.append(progress)

    def begin(
        self,
        since: int,
        rooms: dict[RoomId, int],
        *,
        fixed: frozenset[RoomId] = frozenset(),
        entered: frozenset[RoomId] = frozenset(),
    ) -> BatchProgress:
        before, after = SyncToken(f"s{since}"), SyncToken(f"s{since + 1}")
        items = tuple(
            TimelineGap(room_id=room_id, since=before, end=after)
            for room_id, number in rooms.items()
            for _ in range(number)
        )
        return self.checkpoint.begin(SyncBatch(before, after, items, fixed=fixed, entered=entered))

    def handle(self, batch: BatchProgress, room_id: RoomId, event_id: str) -> None:
        inbound = Inbound(
            event_id=EventId(event_id), room_id=room_id, sender=UserId("@a:x"), kind=EventKind.TEXT
        )
        self.checkpoint.note(batch, inbound)
        self.checkpoint.done(batch, room_id)


async def test_the_checkpoint_waits_for_the_oldest_batch() -> None:
    saved = Saved()
    first, second = saved.begin(0, {SLOW: 2}), saved.begin(1, {FAST: 1})
    saved.begin(2, {})

    saved.handle(second, FAST, "$2")
    await saved.checkpoint.flush()
    saved.handle(first, SLOW, "$1")
    await saved.checkpoint.flush()
    assert saved.progress == []
    saved.handle(first, SLOW, "$3")
    await saved.checkpoint.flush()
    await saved.checkpoint.flush()
    assert saved.progress == [Progress(token=SyncToken("s3"), completed=ids("$1", "$3", "$2"))]


async def test_the_checkpoint_is_saved_when_it_moves() -> None:
    saved = Saved()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(saved.checkpoint.run())
        saved.begin(0, {})
        await saved.checkpoint.is_saved.wait()
        task.cancel()


async def test_a_room_that_is_stuck_is_left_behind_until_it_has_caught_up() -> None:
    saved = Saved()
    first = saved.begin(0, {SLOW: 2, FAST: 1})
    saved.handle(first, SLOW, "$1")
    saved.handle(first, FAST, "$2")
    saved.now = STUCK_SECONDS + 1
    second = saved.begin(1, {SLOW: 1, FAST: 1})
    saved.handle(second, FAST, "$3")

    saved.checkpoint.leave_stuck()
    await saved.checkpoint.flush()
    saved.handle(first, SLOW, "$4")
    await saved.checkpoint.flush()
    saved.handle(second, SLOW, "$5")
    await saved.checkpoint.flush()

    assert saved.progress == [
        Progress(
            token=SyncToken("s2"), completed=ids("$2", "$3"), behind={SLOW: Behind(SyncToken("s0"))}
        ),
        Progress(completed=ids("$1", "$4", "$5"), behind={SLOW: None}),
    ]


async def test_a_life_leaves_what_it_finds_first_behind_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checkpoint, "FIRST_STUCK_SECONDS", 0.0)
    saved = Saved()
    first = saved.begin(0, {SLOW: 1, FAST: 1})
    saved.handle(first, FAST, "$1")
    saved.begin(1, {FAST: 1})

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(saved.checkpoint.run())
        await saved.checkpoint.is_saved.wait()
        task.cancel()

    assert saved.progress == [
        Progress(token=SyncToken("s1"), completed=ids("$1"), behind={SLOW: Behind(SyncToken("s0"))})
    ]


async def test_what_can_not_be_read_again_holds_the_checkpoint() -> None:
    saved = Saved()
    saved.begin(0, {SLOW: 1}, fixed=frozenset({SLOW}))
    saved.now = STUCK_SECONDS + 1

    saved.checkpoint.leave_stuck()
    await saved.checkpoint.flush()

    assert saved.progress == []


async def test_a_room_that_the_bot_came_into_is_left_behind_as_such() -> None:
    saved = Saved()
    first = saved.begin(0, {SLOW: 1, FAST: 1}, entered=frozenset({SLOW}))
    saved.handle(first, FAST, "$1")
    saved.now = STUCK_SECONDS + 1

    assert not first.can_skip(SLOW)
    saved.checkpoint.leave_stuck()
    await saved.checkpoint.flush()

    left = Behind(SyncToken("s0"), is_entered=True)
    assert saved.progress == [
        Progress(token=SyncToken("s1"), completed=ids("$1"), behind={SLOW: left})
    ]
    stretch = Saved().checkpoint.restore(SLOW, left, SyncToken("s1"))
    assert (stretch.batch.since, stretch.batch.entered) == (SyncToken("s0"), frozenset({SLOW}))


async def test_a_room_that_the_bot_came_into_again_holds_the_checkpoint_for_what_was_before() -> (
    None
):
    saved = Saved()
    first = saved.begin(0, {SLOW: 1})
    second = saved.begin(1, {SLOW: 1}, entered=frozenset({SLOW}))
    saved.now = STUCK_SECONDS + 1

    saved.checkpoint.leave_stuck()
    await saved.checkpoint.flush()
    saved.handle(first, SLOW, "$1")
    await saved.checkpoint.flush()
    assert [p.token for p in saved.progress] == ["s1"]
    saved.handle(second, SLOW, "$2")
    await saved.checkpoint.flush()

    assert saved.progress[-1].token == "s2"


async def test_what_was_skipped_is_read_from_where_it_began() -> None:
    saved = Saved()
    first = saved.begin(0, {SLOW: 1})
    second, third = saved.begin(1, {SLOW: 1}), saved.begin(2, {SLOW: 1})
    saved.checkpoint.skip(second, SLOW)
    saved.checkpoint.skip(third, SLOW)
    await saved.checkpoint.flush()
    assert saved.checkpoint.is_skipping(SLOW)

    saved.handle(first, SLOW, "$1")
    stretch = saved.checkpoint.read_skipped(SLOW)
    await saved.checkpoint.flush()
    assert stretch is not None
    assert (stretch.batch.since, stretch.batch.next) == ("s1", "s3")
    saved.handle(stretch, SLOW, "$2")
    await saved.checkpoint.flush()

    assert saved.progress == [
        Progress(token=SyncToken("s3"), behind={SLOW: Behind(SyncToken("s0"))}),
        Progress(completed=ids("$1"), behind={SLOW: Behind(SyncToken("s1"))}),
        Progress(completed=ids("$2"), behind={SLOW: None}),
    ]
    assert not saved.checkpoint.is_skipping(SLOW)
    assert saved.checkpoint.read_skipped(SLOW) is None


async def test_a_room_that_an_earlier_life_left_behind_catches_up() -> None:
    saved = Saved()
    stretch = saved.checkpoint.restore(SLOW, Behind(SyncToken("s0")), SyncToken("s5"))
    batch = saved.begin(5, {SLOW: 1})
    saved.handle(stretch, SLOW, "$1")
    await saved.checkpoint.flush()
    saved.handle(batch, SLOW, "$2")
    await saved.checkpoint.flush()

    # the second event's batch is passed when it is handled, and so is the stretch
    assert saved.progress[-1].behind == {SLOW: None}
    assert {e for p in saved.progress for e in p.completed} == {"$1", "$2"}


async def test_a_room_refuses_what_it_has_no_place_for_and_asks_for_more_when_it_is_empty() -> None:
    handled: list[str] = []
    may_go_on, more = asyncio.Event(), ["later"]

    async def handle(item: str) -> None:
        await may_go_on.wait()
        handled.append(item)

    queues = BoundedRoomQueues[str](1_000, lambda _: more.pop() if more else None)
    async with working(queues, handle):
        taken = [await queues.offer(SLOW, str(n)) for n in range(MAX_ITEMS_PER_ROOM + 5)]
        assert await queues.offer(FAST, "another room's")
        may_go_on.set()
        while len(handled) < MAX_ITEMS_PER_ROOM + 2:
            await asyncio.sleep(0)

    assert taken.count(True) == MAX_ITEMS_PER_ROOM
    assert handled.index("later") > handled.index(str(MAX_ITEMS_PER_ROOM - 1))


async def test_a_room_that_found_all_places_taken_by_others_goes_on_when_one_is_free() -> None:
    handled: list[str] = []
    may_go_on, others = asyncio.Event(), [RoomId("!b"), RoomId("!c")]
    more = {SLOW: ["slow's"]} | {room_id: [f"{room_id}'s"] for room_id in others}

    async def handle(item: str) -> None:
        if item.startswith("waits"):
            await may_go_on.wait()
        handled.append(item)

    queues = BoundedRoomQueues[str](2, lambda r: more[r].pop() if more.get(r) else None)
    async with working(queues, handle):
        assert await queues.offer(FAST, "waits 1")
        assert await queues.offer(FAST, "waits 2")
        for room_id in (SLOW, *others):
            assert not await queues.offer(room_id, "has no place")
        may_go_on.set()
        async with asyncio.timeout(10):
            while len(handled) < 5:
                await asyncio.sleep(0)
        assert await queues.offer(SLOW, "has a place")
        while "has a place" not in handled:
            await asyncio.sleep(0)

    assert {"slow's", "!b's", "!c's"} <= set(handled)


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
