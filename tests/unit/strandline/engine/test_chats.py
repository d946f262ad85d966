"""Chats over the engine and a real store, whose memory is lost between any two turns."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from durable.flows.chats.flow import Chats
from durable.flows.chats.rooms import PendingRooms, RoomRequest
from durable.flows.language import Language
from durable.flows.room.flow import RoomRouting
from durable.flows.user_routing import UserRouting
from durable.records import ChatRecord, RoomRecord, UserRecord, chat_key, room_key, user_key
from durable.store import SqliteStore, Store
from ephemeral.conversations import Conversations
from ephemeral.flows.confirmation import Confirmation
from ephemeral.flows.held_messages import Held
from ephemeral.flows.load_selection import LoadSelection
from fsm import AgentEntry, EventKind, Flow, Registry
from fsm.outbox import CreateRoomRow, LeaveRow
from fsm.values.ids import AgentId, ChatId, EventId, RoomId, TransactionId, UserId
from fsm.values.inbound import RoomCreated, make_inbound
from strandline.engine.clock import Clock
from strandline.engine.turns import Outcome, Turns, TurnSettings
from strandline.flows.languages import LANGUAGES, translator_for

ALICE, BOB = UserId("@alice:x"), UserId("@bob:x")
NOON = datetime(2026, 1, 1, tzinfo=UTC)
REGISTRY = Registry([AgentEntry(id=AgentId("a1"), name="A1", kind="echo")])


class House:
    """Turns on one store; each life has a memory of its own."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.turns = self.life()
        self._number = 0

    def life(self) -> Turns:
        flows: list[Flow] = [
            Confirmation(lifetime=timedelta(minutes=5), started_at=NOON),
            LoadSelection(lifetime=timedelta(minutes=5), started_at=NOON),
            Held(lifetime=timedelta(minutes=5)),
            Language(LANGUAGES, translator=translator_for),
            UserRouting(REGISTRY),
            Chats(REGISTRY),
            RoomRouting(REGISTRY, is_allowed=lambda _: True, onboarding=True),
        ]
        return Turns(
            flows,
            store=self.store,
            conversations=Conversations(),
            clock=Clock(now=lambda: NOON, monotonic=lambda: 0.0),
            settings=TurnSettings(),
        )

    async def take(self, body: str = "", **inbound: Any) -> Outcome:
        self._number += 1
        given: dict[str, Any] = {
            "sender": ALICE,
            "room_id": "!lobby",
            "kind": EventKind.TEXT,
        } | inbound
        event_id = EventId(f"${self._number}")
        return await self.turns.take(make_inbound(event_id=event_id, body=body, **given))

    async def made(self, row: CreateRoomRow) -> list[CreateRoomRow]:
        """The room is made, the turn taken in a life of its own; what rooms that asks for."""
        self.turns = self.life()
        owner, purpose = row.room.user_id, row.room.purpose
        inbound = RoomCreated(
            event_id=EventId(row.transaction_id),
            room_id=RoomId(f"!{purpose}{owner}".replace(":", "-")),
            sender=owner,
            purpose=purpose,
            name=row.room.name,
            asked_in=row.room.asked_in,
        )
        outcome = await self.turns.take(inbound, deletes_row=TransactionId(row.transaction_id))
        return creations(outcome)

    async def onboard(self, user: UserId, lobby: str = "!lobby") -> None:
        await self.take(kind=EventKind.INVITED, sender=user, room_id=lobby)
        greeting = await self.take(kind=EventKind.JOINED, sender=user, room_id=lobby)
        await self.make_all(greeting)

    async def make_all(self, outcome: Outcome) -> None:
        rows = creations(outcome)
        while rows:
            rows += await self.made(rows.pop(0))


def creations(outcome: Outcome) -> list[CreateRoomRow]:
    return [row for row in outcome.rows if isinstance(row, CreateRoomRow)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lambda_matrix.db"


@pytest.fixture
async def house(path: Path) -> AsyncIterator[House]:
    store = await SqliteStore.open(path, now=lambda: NOON)
    yield House(store)
    await store.close()


def stored(path: Path) -> dict[str, str]:
    with sqlite3.connect(path) as db:
        return dict(db.execute("SELECT key, value FROM kv"))


async def test_onboarding_goes_on_in_another_life_after_every_turn(
    house: House, path: Path
) -> None:
    await house.take(kind=EventKind.INVITED)
    greeting = await house.take(kind=EventKind.JOINED)
    [space] = creations(greeting)
    between = stored(path)

    [chat] = await house.made(space)
    assert await house.made(chat) == []

    assert '"state":"making_space"' in between["flow:chats:@alice:x"]
    assert "flow:chats:@alice:x" not in stored(path)
    user = (await house.store.read(UserRecord, user_key(ALICE))).value
    assert user == UserRecord(
        space_id=RoomId("!space@alice-x"), next_chat_index=2, selected_agent_id=AgentId("a1")
    )
    first = (await house.store.read(ChatRecord, chat_key(ALICE, ChatId("C1")))).value
    assert first is not None
    room = (await house.store.read(RoomRecord, room_key(first.room_id))).value
    assert room is not None
    assert (room.platform_chat_id, room.space_id) == ("1", "!space@alice-x")


async def test_many_onboard_at_once_and_each_gets_what_is_theirs(house: House) -> None:
    users = [UserId(f"@u{n}:x") for n in range(20)]
    shared = house.turns
    house.life = lambda: shared  # type: ignore[method-assign]

    await asyncio.gather(*(house.onboard(user, f"!lobby{n}") for n, user in enumerate(users)))

    numbers = set()
    for user in users:
        record = (await house.store.read(UserRecord, user_key(user))).value
        chat = (await house.store.read(ChatRecord, chat_key(user, ChatId("C1")))).value
        assert record is not None
        assert chat is not None
        assert record.next_chat_index == 2
        room = (await house.store.read(RoomRecord, room_key(chat.room_id))).value
        assert room is not None
        numbers.add(room.platform_chat_id)
    assert numbers == {str(n) for n in range(1, 21)}


async def test_a_made_room_that_is_reported_after_a_crash_is_taken_once(house: House) -> None:
    await house.onboard(ALICE)
    [row] = creations(await house.take("!new"))

    await house.made(row)
    before = await house.store.read(UserRecord, user_key(ALICE))
    again = await house.made(row)

    assert again == []
    assert await house.store.read(UserRecord, user_key(ALICE)) == before


async def test_forgetting_reaches_every_room_of_the_user_and_no_other(
    house: House, path: Path
) -> None:
    await house.onboard(ALICE)
    await house.onboard(BOB, "!bobs")
    await house.take("!language ru")
    await house.take(kind=EventKind.INVITED, room_id="!unused")
    assert "flow:language:@alice:x" in stored(path)
    bobs = {key: value for key, value in stored(path).items() if "@bob" in key + value}

    await house.take("!forget-me")
    done = await house.take("!yes")

    left = [row.room_id for row in done.rows if isinstance(row, LeaveRow)]
    assert sorted(left[:-1]) == ["!chat-C1@alice-x", "!space@alice-x", "!unused"]
    assert left[-1] == "!lobby"
    after = stored(path)
    assert [key for key in after if "@alice" in key + after[key]] == []
    assert {key: after[key] for key in bobs} == bobs


@pytest.mark.parametrize("refused", [True, False])
def test_a_plan_is_merged_by_purpose_and_keeps_its_order(*, refused: bool) -> None:
    one = RoomRequest(purpose="chat:C1", name="1", asked_in=RoomId("!a"), refused=refused)
    two = RoomRequest(purpose="chat:C2", name="2", asked_in=RoomId("!a"))
    again = RoomRequest(purpose="chat:C1", name="1", asked_in=RoomId("!b"))

    plan = PendingRooms((one, two)).with_requests((again,))

    assert plan == PendingRooms((again, two))
    assert plan.mark_refused("chat:C1").find("chat:C1") == RoomRequest(
        purpose="chat:C1", name="1", asked_in=RoomId("!b"), refused=True
    )
    assert plan.without("chat:C1") == PendingRooms((two,))
