"""Durable states of authors' flows, over a real store: deadlines, versions."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from attrs import frozen

from durable.records import FlowRecord, RoomRecord, UserRecord, flow_key, room_key, user_key
from durable.store import Commit, SqliteStore, Store, to_json
from ephemeral.conversations import Conversations
from fsm import (
    STAY,
    Event,
    EventKind,
    Flow,
    Inbound,
    Saved,
    Scope,
    State,
    Turn,
    durable,
    ephemeral,
    hours,
    minutes,
    on,
    upgrade,
)
from fsm.turn import bot_records
from fsm.values.ids import ConversationKey, EventId, RoomId, UserId
from strandline.engine.clock import Clock
from strandline.engine.deadlines import Deadlines
from strandline.engine.retrying_store import RetryingStore
from strandline.engine.turns import Outcome, Turns, TurnSettings
from tests.support.outbox import content_of
from tests.support.store.opening import plain
from tests.support.store.statements import Statements

_numbers = count()
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ROOM, ALICE = RoomId("!room"), UserId("@alice:x")
KEY = flow_key("request", ConversationKey(ROOM))


@frozen
class Wish:
    text: str
    nudges: int = 0


class Request(Flow):
    scope = Scope.ROOM

    idle = State(initial=True)
    asked = State(durable, record=Wish, expires=hours(8))
    editing = State(ephemeral, memory=Wish, expires=minutes(5))

    make = Event(idle, asked, command="wish")
    note = Event(asked, STAY, command="note")
    edit = Event(asked, editing, command="edit")
    drop = Event(asked, idle, command="drop")
    lapse = Event(editing, asked, on_expiry=True)
    back = Event(editing, asked, command="back")
    nudge = Event(asked, STAY, on_expiry=True)
    close = Event(asked, idle, on_expiry=True)

    @nudge.guard
    def is_new(self, turn: Turn) -> bool:
        return isinstance(turn.data, Wish) and turn.data.nudges == 0

    @on(make, note)
    def write(self, turn: Turn, _data: Wish | None) -> Wish:
        return Wish(turn.argument)

    @on(edit, back, lapse)
    def carry(self, _turn: Turn, wish: Wish) -> Wish:
        return wish

    @on(nudge)
    def remind(self, turn: Turn, wish: Wish) -> Wish:
        turn.say(f"Still open: {wish.text}")
        return Wish(wish.text, wish.nudges + 1)

    @on(close)
    def give_up(self, turn: Turn, wish: Wish) -> None:
        turn.say(f"Given up: {wish.text}")


class Life:
    """One life of the engine on a store."""

    def __init__(self, store: Store, clock: "Hands", flow: Flow | None = None) -> None:
        flow = flow or Request()
        self.flow = flow
        self.conversations = Conversations()
        self.store = store
        self.deadlines = Deadlines(
            RetryingStore(store),
            frozenset({flow.name}),
            monotonic=lambda: clock.now().timestamp(),
        )
        self.turns = Turns(
            [flow],
            store=store,
            conversations=self.conversations,
            clock=Clock(now=clock.now, monotonic=lambda: clock.now().timestamp()),
            settings=TurnSettings(),
        )

    async def says(self, body: str, *, room: RoomId = ROOM) -> Outcome:
        event_id = EventId(f"${next(_numbers)}")
        inbound = Inbound(
            event_id=event_id, room_id=room, sender=ALICE, kind=EventKind.TEXT, body=body
        )
        return await self.turns.take(inbound)

    async def sweep(self) -> list[str]:
        """What is said when all that is due has fallen due."""
        said = []
        for due in await self.deadlines.newly_due():
            outcome = await self.turns.fall_due(due)
            self.deadlines.settle(due)
            said += [content_of(row)["body"] for row in outcome.rows]
        return said

    async def kept(self) -> FlowRecord | None:
        return (await self.store.read(FlowRecord, KEY)).value


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    def pass_(self, time: timedelta) -> None:
        self.at += time


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
async def store(tmp_path: Path, clock: Hands) -> AsyncIterator[Store]:
    opened = await SqliteStore.open(tmp_path / "lambda_matrix.db", now=clock.now)
    yield opened
    await opened.close()


async def test_a_deadline_is_kept_with_the_record_and_only_where_there_is_one(
    store: Store, clock: Hands
) -> None:
    await Life(store, clock).says("!wish tea")

    stored = await store.read(FlowRecord, KEY)
    assert stored.text == (
        '{"state":"asked","version":1,"record":{"text":"tea","nudges":0},"deadline":'
        f'{{"at_ms":{int((START + hours(8)).timestamp() * 1000)},'
        '"room_id":"!room","sender":"@alice:x"}}'
    )


async def test_a_deadline_that_passed_while_the_bot_was_down_falls_due_once(
    store: Store, clock: Hands
) -> None:
    await Life(store, clock).says("!wish tea")
    clock.pass_(hours(9))
    life = Life(store, clock)

    assert await life.sweep() == ["Still open: tea"]
    assert await life.sweep() == []
    clock.pass_(hours(8))
    assert await life.sweep() == ["Given up: tea"]
    assert await life.kept() is None
    clock.pass_(hours(100))
    assert await Life(store, clock).sweep() == []


async def test_what_is_in_hand_is_not_handed_out_again(store: Store, clock: Hands) -> None:
    life = Life(store, clock)
    await life.says("!wish tea")
    clock.pass_(hours(8))

    [due] = await life.deadlines.newly_due()

    assert await life.deadlines.newly_due() == []
    life.deadlines.settle(due)
    assert await life.deadlines.newly_due() == [due]


async def test_a_deadline_whose_turn_failed_is_tried_again_after_a_while(
    store: Store, clock: Hands
) -> None:
    life = Life(store, clock)
    await life.says("!wish tea")
    clock.pass_(hours(8))
    [due] = await life.deadlines.newly_due()

    life.deadlines.postpone(due)

    assert await life.deadlines.newly_due() == []
    clock.pass_(minutes(9))
    assert await life.deadlines.newly_due() == []
    clock.pass_(minutes(1))
    assert await life.deadlines.newly_due() == [due]


async def test_a_deadline_of_before_the_state_was_entered_anew_does_nothing(
    store: Store, clock: Hands
) -> None:
    life = Life(store, clock)
    await life.says("!wish tea")
    clock.pass_(hours(8))
    [due] = await life.deadlines.newly_due()
    await life.says("!edit")
    await life.says("!back")

    assert (await life.turns.fall_due(due)).rows == ()
    kept = await life.kept()
    assert kept is not None
    assert kept.state == "asked"


async def test_an_event_that_stays_keeps_the_deadline(store: Store, clock: Hands) -> None:
    life = Life(store, clock)
    await life.says("!wish tea")
    before = await life.kept()
    clock.pass_(hours(1))

    await life.says("!note coffee")

    after = await life.kept()
    assert before is not None
    assert after is not None
    assert (after.record["text"], after.deadline) == ("coffee", before.deadline)


async def test_a_conversation_in_an_ephemeral_state_is_left_alone_until_it_is_back(
    store: Store, clock: Hands
) -> None:
    life = Life(store, clock)
    await life.says("!wish tea")
    clock.pass_(hours(8) - minutes(1))
    await life.says("!edit")
    clock.pass_(minutes(1))

    assert await life.sweep() == []
    clock.pass_(minutes(5))
    assert await life.sweep() == ["Still open: tea"]


async def test_deadlines_of_flows_that_the_bot_does_not_have_stay_where_they_are(
    store: Store, clock: Hands
) -> None:
    await Life(store, clock).says("!wish tea")
    clock.pass_(hours(9))

    assert await Deadlines(RetryingStore(store), frozenset({"other"})).newly_due() == []
    assert await Life(store, clock).deadlines.newly_due() != []


async def test_a_due_conversation_is_found_by_the_index(tmp_path: Path, clock: Hands) -> None:
    path, statements = tmp_path / "lambda_matrix.db", Statements()
    store = await SqliteStore.open(path, now=clock.now, connect=statements.connect)
    await store.due(["request"], exclude=["flow:request:!room"])
    await store.close()

    [plan] = statements.plans(path, "flow_deadline").values()

    assert "USING INDEX flow_at_ms" in str(plan)


async def test_what_failed_keeps_no_other_waiting(tmp_path: Path, clock: Hands) -> None:
    store = await SqliteStore.open(tmp_path / "lambda_matrix.db", now=clock.now, max_due=1)
    life = Life(store, clock)
    await life.says("!wish tea")
    await life.says("!wish coffee", room=RoomId("!other"))
    clock.pass_(hours(9))

    [first] = await life.deadlines.newly_due()
    life.deadlines.postpone(first)

    [second] = await life.deadlines.newly_due()
    await store.close()
    assert {first.key, second.key} == {ROOM, "!other"}


async def test_an_ephemeral_state_that_ends_does_not_bring_back_what_was_ended_meanwhile(
    store: Store, clock: Hands
) -> None:
    life = Life(store, clock)
    await life.says("!wish tea")
    await life.says("!edit")
    clock.pass_(minutes(6))
    await life.says("!drop")
    assert await life.kept() is None

    for lapsed in life.conversations.sweep(clock.now().timestamp()):
        await life.turns.expire(lapsed)

    assert await life.kept() is None


class Greeting(Flow):
    """Ends with a sentence that goes by the records of the room and of who is behind it."""

    scope = Scope.ROOM

    idle = State(initial=True)
    asked = State(durable, record=Wish, expires=hours(8))

    make = Event(idle, asked, command="wish")
    close_at_home = Event(asked, idle, on_expiry=True)
    close = Event(asked, idle, on_expiry=True)

    @close_at_home.guard
    def is_at_home(self, turn: Turn) -> bool:
        room = bot_records(turn).find(RoomRecord, room_key(turn.room_id))
        user = bot_records(turn).find(UserRecord, user_key(turn.sender))
        return room is not None and user is not None and user.space_id == room.space_id

    @on(make)
    def write(self, turn: Turn, _data: None) -> Wish:
        return Wish(turn.argument)

    @on(close_at_home)
    def greet(self, turn: Turn, _wish: Wish) -> None:
        turn.say("at home")

    @on(close)
    def miss(self, turn: Turn, _wish: Wish) -> None:
        turn.say("elsewhere")


async def test_a_guard_finds_the_room_and_the_user_also_when_a_time_is_up(
    store: Store, clock: Hands
) -> None:
    space = RoomId("!space")
    life = Life(store, clock, Greeting())
    room, user = RoomRecord(space_id=space), UserRecord(space_id=space)
    await store.commit(
        Commit(writes={room_key(ROOM): to_json(room), user_key(ALICE): to_json(user)})
    )
    await life.says("!wish tea")
    clock.pass_(hours(9))

    assert await life.sweep() == ["at home"]


class Endless(Flow):
    """``Request`` in a release whose state has no end."""

    name = "request"
    scope = Scope.ROOM

    idle = State(initial=True)
    asked = State(durable, record=Wish)

    drop = Event(asked, idle, command="drop")
    make = Event(idle, asked, command="wish")

    @on(make)
    def write(self, turn: Turn, _data: None) -> Wish:
        return Wish(turn.argument)


async def test_a_state_that_no_longer_ends_loses_its_deadline(store: Store, clock: Hands) -> None:
    await Life(store, clock).says("!wish tea")
    clock.pass_(hours(9))
    life = Life(store, clock, Endless())

    assert await life.sweep() == []

    kept = await life.kept()
    assert kept is not None
    assert (kept.state, kept.deadline) == ("asked", None)


class GivenUp(Flow):
    """``Request`` in a release that knows nothing of what was."""

    name = "request"
    scope = Scope.ROOM
    version = 2

    idle = State(initial=True)
    kept = State(durable, record=Wish)
    make = Event(idle, kept, command="wish")
    drop = Event(kept, idle, command="drop")

    @upgrade(1)
    def give_up(self, _saved: Saved) -> Saved:
        return Saved("idle", {})

    @on(make)
    def write(self, turn: Turn, _data: None) -> Wish:
        return Wish(turn.argument)


async def test_an_upgrade_may_give_a_conversation_up(store: Store, clock: Hands) -> None:
    await Life(store, clock).says("!wish tea")
    clock.pass_(hours(9))
    life = Life(store, clock, GivenUp())

    assert await life.sweep() == []

    assert await life.kept() is None
    assert await life.deadlines.newly_due() == []


async def test_what_is_kept_by_another_key_than_the_flow_has_now_is_set_aside(
    store: Store, tmp_path: Path, clock: Hands
) -> None:
    await Life(store, clock).says("!wish tea")
    clock.pass_(hours(9))
    life = Life(store, clock)
    life.flow.scope = Scope.USER  # type: ignore[misc]

    assert await life.sweep() == []

    assert await life.kept() is None
    with plain(tmp_path / "lambda_matrix.db") as db:
        [(error,)] = db.execute("SELECT error FROM quarantine").fetchall()
    assert "are not kept by !room now" in error


@frozen
class Wish2:
    words: tuple[str, ...]


class Later(Flow):
    """What ``Request`` is in its next release."""

    name = "request"
    scope = Scope.ROOM
    version = 2

    idle = State(initial=True)
    waiting = State(durable, record=Wish2)

    make = Event((idle, waiting), waiting, command="wish")
    end = Event(waiting, idle, command="end")

    @upgrade(1)
    def split_words(self, saved: Saved) -> Saved:
        return Saved("waiting", {"words": saved.record["text"].split()})

    @on(make)
    def write(self, turn: Turn, data: Wish2 | None) -> Wish2:
        turn.reply(f"before: {data}")
        return Wish2(tuple(turn.argument.split()))


async def test_what_an_older_version_saved_is_read_and_saved_anew(
    store: Store, clock: Hands
) -> None:
    await Life(store, clock).says("!wish black tea")
    life = Life(store, clock, Later())

    outcome = await life.says("!wish milk")

    [row] = outcome.rows
    assert content_of(row)["body"] == "before: Wish2(words=('black', 'tea'))"
    kept = await life.kept()
    assert kept is not None
    assert (kept.version, kept.record) == (2, {"words": ["milk"]})


async def test_what_a_later_version_saved_is_set_aside_and_begun_anew(
    store: Store, tmp_path: Path, clock: Hands
) -> None:
    await Life(store, clock, Later()).says("!wish black tea")
    life = Life(store, clock)

    await life.says("!wish milk")

    kept = await life.kept()
    assert kept is not None
    assert (kept.version, kept.record["text"]) == (1, "milk")
    with plain(tmp_path / "lambda_matrix.db") as db:
        [(error, value)] = db.execute("SELECT error, value FROM quarantine").fetchall()
    assert "version 2 has saved it, and this is version 1" in error
    assert '"words":["black","tea"]' in value
