"""Queues and checkpoint through many short lives: nothing is lost, and rooms keep their order."""

import asyncio
from random import Random

import pytest
from attrs import define, field, frozen

from durable.store import Behind, Progress
from fsm import EventKind, Inbound
from fsm.values.ids import EventId, RoomId, SyncToken, UserId
from matrix import SyncBatch, TimelineGap
from strandline.engine import room_queues as rooms
from strandline.engine.checkpoint import STUCK_SECONDS, BatchProgress, Checkpoint
from strandline.engine.room_queues import BoundedRoomQueues

SLOW = RoomId("!slow")
ROOMS = (SLOW, RoomId("!a"), RoomId("!b"), RoomId("!c"))
LIVES = 6
IN_RESPONSE = 4
"""So many events of one room a sync response holds; the others are in a gap."""


@frozen
class Task:
    """One event, or what happened in a room between two tokens."""

    batch: BatchProgress
    room_id: RoomId
    numbers: range


@define
class World:
    """What outlives a life: the rooms, and what was made durable. The token is the last number."""

    random: Random
    history: dict[int, RoomId] = field(factory=dict)
    token: SyncToken = field(factory=lambda: SyncToken("0"))
    behind: dict[RoomId, Behind] = field(factory=dict)
    handled: dict[int, None] = field(factory=dict)

    async def pass_time(self, most: int) -> None:
        for _ in range(self.random.randrange(most)):
            await asyncio.sleep(0)

    def people_write(self) -> None:
        for _ in range(self.random.choice([1, 1, 1, 8])):
            self.history[len(self.history) + 1] = self.random.choice(ROOMS)

    async def save(self, progress: Progress) -> None:
        await self.pass_time(4)
        self.token = progress.token or self.token
        for room_id, left in progress.behind.items():
            self.behind.pop(room_id, None)
            self.behind |= {} if left is None else {room_id: left}

    def lost(self) -> set[int]:
        return self.history.keys() - self.handled.keys()


class Life:
    """One life of a bot, as far as queues and checkpoint make it."""

    def __init__(self, world: World) -> None:
        self.world, self.now = world, 0.0
        self.checkpoint = Checkpoint(world.save, monotonic=lambda: self.now)
        most = world.random.choice([1, 2, 5, 20])
        self.queues: BoundedRoomQueues[Task] = BoundedRoomQueues(most, self._more)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.queues.run(self._handle))
            tasks.create_task(self._save())
            for room_id, left in [*self.world.behind.items()]:
                batch = self.checkpoint.restore(room_id, left, self.world.token)
                await self.queues.put(room_id, _stretch(batch, room_id))
            await self._sync()

    async def _handle(self, task: Task) -> None:
        for number in task.numbers:
            if self.world.history[number] != task.room_id:
                continue
            inbound = Inbound(
                event_id=EventId(f"${number}"),
                room_id=task.room_id,
                sender=UserId("@a:x"),
                kind=EventKind.TEXT,
            )
            self.checkpoint.note(task.batch, inbound)
            await self.world.pass_time(30 if task.room_id == SLOW else 5)
            self.world.handled.setdefault(number)
        self.checkpoint.done(task.batch, task.room_id)

    def _more(self, room_id: RoomId) -> Task | None:
        batch = self.checkpoint.read_skipped(room_id)
        return None if batch is None else _stretch(batch, room_id)

    async def _sync(self) -> None:
        since = self.world.token
        while True:
            token = SyncToken(str(len(self.world.history)))
            parts = {room_id: self._parts(room_id, since, token) for room_id in ROOMS}
            items = tuple(
                TimelineGap(room_id=room_id, since=since, end=token)
                for room_id, found in parts.items()
                for _ in found
            )
            batch = self.checkpoint.begin(SyncBatch(since, token, items))
            for room_id, found in parts.items():
                for numbers in found:
                    await self._queue(Task(batch, room_id, numbers))
            since = token
            await self.world.pass_time(4)
            await asyncio.sleep(0)

    def _parts(self, room_id: RoomId, since: SyncToken, token: SyncToken) -> list[range]:
        """A gap, if more has happened than a response holds, and the events after it."""
        new = range(int(since) + 1, int(token) + 1)
        mine = [number for number in new if self.world.history[number] == room_id]
        told = mine[-IN_RESPONSE:]
        gap = [range(new.start, told[0])] if len(mine) > len(told) else []
        return [*gap, *(range(number, number + 1) for number in told)]

    async def _queue(self, task: Task) -> None:
        is_skipping = self.checkpoint.is_skipping(task.room_id)
        if is_skipping or not await self.queues.offer(task.room_id, task):
            self.checkpoint.skip(task.batch, task.room_id)

    async def _save(self) -> None:
        while True:
            if self.world.random.random() < 0.1:
                self.now += STUCK_SECONDS
                self.checkpoint.leave_stuck()
            await self.checkpoint.flush()
            await asyncio.sleep(0)


def _stretch(batch: BatchProgress, room_id: RoomId) -> Task:
    assert batch.batch.since is not None
    numbers = range(int(batch.batch.since) + 1, int(batch.batch.next) + 1)
    return Task(batch, room_id, numbers)


@pytest.mark.parametrize("seed", range(40))
async def test_whenever_it_is_killed_nothing_is_lost_and_each_room_keeps_its_order(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "MAX_ITEMS_PER_ROOM", 4)
    world = World(Random(seed))

    for number in range(LIVES):
        life = asyncio.create_task(Life(world).run())
        for _ in range(60):
            world.people_write()
            await world.pass_time(4)
        for _ in range(20_000 if number == LIVES - 1 else 0):
            if len(world.handled) == len(world.history) and not world.behind:
                break
            await asyncio.sleep(0)
        life.cancel()
        await asyncio.wait({life})

    assert world.lost() == set()
    assert world.behind == {}
    for room_id in ROOMS:
        mine = [number for number in world.handled if world.history[number] == room_id]
        assert mine == sorted(mine)
