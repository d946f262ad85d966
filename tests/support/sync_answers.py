"""Scenes for the tests of the shore: events, sync responses, and a bot's loops at work."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from attrs import define, field

from fsm.outbox import OutboxRow, SendRow
from fsm.values.ids import EventId, RoomId, SyncToken, TransactionId, UserId
from fsm.values.inbound import Inbound
from matrix import (
    Delivery,
    Homeserver,
    HomeserverReader,
    HomeserverSettings,
    MessageChange,
    RoomCreator,
    RoomStyle,
    SyncBatch,
    SyncLoop,
    TimelineGap,
)
from tests.support.fakes.homeserver import BOT, PASSWORD, ScriptedHomeserver
from tests.support.limits import HANGS_SECONDS

Json = dict[str, Any]

ROOM = RoomId("!opaque-room-id-without-a-server")
ALICE = "@alice:test"
START = SyncToken("s0")


def settings(server: ScriptedHomeserver, **changes: Any) -> HomeserverSettings:
    return HomeserverSettings(
        **({"url": server.url, "user_id": UserId(BOT), "password": PASSWORD} | changes)
    )


def text(body: object, event_id: str = "$e", sender: str = ALICE, **content: Any) -> Json:
    return {
        "type": "m.room.message",
        "event_id": event_id,
        "sender": sender,
        "origin_server_ts": 1,
        "content": {"msgtype": "m.text", "body": body} | content,
    }


def member(membership: str, event_id: str, *, before: str | None = None, user: str = BOT) -> Json:
    return {
        "type": "m.room.member",
        "event_id": event_id,
        "sender": user,
        "state_key": user,
        "content": {"membership": membership},
        "unsigned": {"prev_content": {"membership": before}} if before else {},
    }


def joined(
    *timeline: Json, room_id: str = ROOM, state: list[Json] | None = None, **more: Any
) -> Json:
    """A sync response in which this happened in a joined room."""
    room = {"timeline": {"events": list(timeline)} | more, "state": {"events": state or []}}
    return {"rooms": {"join": {room_id: room}}}


ENCRYPTION: Json = {
    "type": "m.room.encryption",
    "event_id": "$encryption",
    "sender": ALICE,
    "state_key": "",
    "content": {"algorithm": "m.megolm.v1.aes-sha2"},
}


def limited(*timeline: Json, prev_batch: str = "p1", **more: Any) -> Json:
    return joined(*timeline, limited=True, prev_batch=prev_batch, **more)


def send(body: str, transaction_id: str, room_id: str = ROOM, **changes: Any) -> SendRow:
    content = {"msgtype": "m.text", "body": body, "org.strandline.turn": transaction_id}
    row = {
        "transaction_id": TransactionId(transaction_id),
        "room_id": RoomId(room_id),
        "event_type": "m.room.message",
        "content": content,
    }
    return SendRow(**(row | changes))


@define
class Harbour:
    """Sync loop, reader and delivery of one life of a bot, and what they brought."""

    homeserver: Homeserver
    since: SyncToken | None = START
    arrived: list[Inbound] = field(factory=list)
    batches: list[SyncBatch] = field(factory=list)
    delivered: list[tuple[OutboxRow, EventId | None]] = field(factory=list)
    parked: list[tuple[OutboxRow, str]] = field(factory=list)
    made: list[tuple[OutboxRow, RoomId | None, str]] = field(factory=list)
    amendments: list[MessageChange] = field(factory=list)
    style: RoomStyle = field(factory=RoomStyle)
    ready: int = 0
    taken: int = 0
    key_wait_seconds: float = 5.0
    was_in: set[str] = field(factory=set)
    on_batch: Callable[[SyncBatch], Awaitable[None]] | None = None
    reader: HomeserverReader = field(init=False)
    sync: SyncLoop = field(init=False)
    delivery: Delivery = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.reader = HomeserverReader(
            self.homeserver,
            amend=self.amendments.append,
            key_wait_seconds=self.key_wait_seconds,
        )
        self.sync = SyncLoop(
            self.homeserver, self.reader, since=self.since, was_joined=self._was_joined
        )
        self.delivery = self.new_delivery()

    def new_delivery(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        room_creator: RoomCreator | None = None,
        taken_back: frozenset[str] = frozenset(),
    ) -> Delivery:
        usual = RoomCreator(self.homeserver, self.style, secret="s")  # noqa: S106  # of no use to anybody
        return Delivery(
            self.homeserver,
            room_creator=room_creator or usual,
            is_known_redacted=lambda _, event_id: event_id in taken_back,
            monotonic=monotonic,
            now=now,
        )

    @asynccontextmanager
    async def at_work(self, *, intake: bool = True) -> AsyncIterator["Harbour"]:
        async with asyncio.TaskGroup() as group:
            loops = [group.create_task(self.delivery.run(Outcomes(self)))]
            if intake:
                loops.append(group.create_task(self.run_sync()))
            yield self
            for loop in loops:
                loop.cancel()

    @property
    def bodies(self) -> list[str]:
        return [inbound.body for inbound in self.arrived]

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(HANGS_SECONDS):
            while not condition():
                await asyncio.sleep(0.005)

    async def run_sync(self) -> None:
        await self.sync.run(Receiver(self))

    async def note_batch(self, batch: SyncBatch) -> None:
        self.batches.append(batch)
        for item in batch.items:
            if isinstance(item, TimelineGap):
                async for inbound in self.reader.fill(item):
                    self.arrived.append(inbound)
            else:
                self.arrived.append(item.inbound)
        self.taken = len(self.arrived)
        self.since = batch.next

    async def _was_joined(self, room_id: RoomId) -> bool:
        return room_id in self.was_in


@define
class Outcomes:
    """Notes in a harbour what became of rows."""

    harbour: Harbour

    async def delivered(self, row: OutboxRow, event_id: EventId | None) -> None:
        self.harbour.delivered.append((row, event_id))

    async def reported(self, row: OutboxRow, room_id: RoomId | None, problem: str) -> None:
        self.harbour.made.append((row, room_id, problem))

    async def failed(self, row: OutboxRow, problem: str) -> None:
        self.harbour.parked.append((row, problem))


@define
class Receiver:
    """Hands batches to a harbour."""

    harbour: Harbour

    async def take(self, batch: SyncBatch) -> None:
        await (self.harbour.on_batch or self.harbour.note_batch)(batch)

    async def started(self) -> None:
        self.harbour.ready += 1
