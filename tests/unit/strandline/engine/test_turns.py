import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from attrs import frozen

from durable.flows.language import Language
from durable.flows.room.flow import RoomRouting
from durable.flows.user_routing import UserRouting
from durable.records import FlowRecord, RoomRecord, UserRecord, flow_key, room_key, user_key
from durable.store import Commit, SqliteStore, Store
from ephemeral.conversations import Conversations
from ephemeral.flows.confirmation import CancelConfirmation, Confirmation
from ephemeral.flows.held_messages import CancelHeld, Held
from fsm import (
    ANY,
    STAY,
    AgentEntry,
    Event,
    EventKind,
    Flow,
    Inbound,
    Registry,
    State,
    Turn,
    TurnError,
    UnansweredSignal,
    durable,
    ephemeral,
    minutes,
    on,
)
from fsm.effects import transaction_id
from fsm.values.ids import AgentId, ConversationKey, EventId, PlatformChatId, RoomId, UserId
from strandline.engine.clock import Clock
from strandline.engine.turns import Outcome, Turns, TurnSettings
from strandline.flows.languages import LANGUAGES, translator_for
from strandline.flows.service import Service
from tests.support.outbox import content_of
from tests.support.store.opening import plain

ALICE, BOB = UserId("@alice:x"), UserId("@bob:x")
STARTED = datetime(2026, 1, 1, tzinfo=UTC)


@frozen
class Page:
    """A record."""

    lines: int


class Fragile(Flow):
    """Breaks when it is asked to, after it has wanted something."""

    idle = State(initial=True)
    break_down = Event(idle, STAY, command="break")

    @on(break_down)
    def fail(self, turn: Turn, _data: None) -> None:
        turn.reply("never seen")
        raise RuntimeError


@frozen
class Pay:
    pass


@frozen
class Mistyped:
    pass


class Till(Flow):
    """Runs in no bot of these tests."""

    idle = State(initial=True)
    pay = Event(idle, STAY, on=Pay)


class Lost(Flow):
    """Triggers signals that no flow of the bot answers."""

    idle = State(initial=True)
    trigger = Event(idle, STAY, command="trigger")
    mistype = Event(idle, STAY, command="mistype")
    ask = Event(idle, STAY, command="ask")

    @on(trigger)
    def pay(self, turn: Turn, _data: None) -> None:
        turn.reply("never seen")
        turn.trigger(Pay())

    @on(mistype)
    def release(self, turn: Turn, _data: None) -> None:
        turn.trigger(Mistyped())

    @on(ask)
    def confirm(self, turn: Turn, _data: None) -> None:
        turn.confirm("Pay?", then=Pay())


class Diary(Flow):
    """Asks an agent in each of its turns, also in those in which its durable state changes."""

    idle = State(initial=True)
    written = State(durable, record=Page)

    write = Event(idle, written, command="write")
    add = Event(written, STAY, command="add")
    ponder = Event(written, STAY, command="ponder")
    burn = Event(written, idle, command="burn")

    @on(write, add)
    def put(self, turn: Turn, page: Page | None) -> Page:
        if turn.argument:
            turn.ask(AgentId("a1"), PlatformChatId("1"), turn.argument)
        return Page((page.lines if page else 0) + 1)

    @on(ponder, burn)
    def ask(self, turn: Turn, _page: Page) -> None:
        turn.ask(AgentId("a1"), PlatformChatId("1"), "what is in it?")


class Whim(Flow):
    """Asks an agent while its ephemeral state changes."""

    idle = State(initial=True)
    wondering = State(ephemeral, expires=minutes(5))

    wonder = Event(idle, wondering, command="wonder")
    lose = Event(wondering, idle, command="lose")

    @on(wonder)
    def ask(self, turn: Turn, _nothing: None) -> None:
        turn.ask(AgentId("a1"), PlatformChatId("1"), "why?")


class Stage:
    """Turns over a real store, with a clock of its own."""

    def __init__(
        self,
        store: Store,
        *agents: str,
        language: str = "en",
        is_addressed: Callable[[Turn], bool] = lambda _: True,
        further: Sequence[Flow] = (),
    ) -> None:
        registry = Registry(AgentEntry(id=AgentId(a), name=a, kind="echo") for a in agents)
        self.store = store
        self.seconds = 0.0
        self.now = STARTED
        self.conversations = Conversations()
        flows: list[Flow] = [
            *further,
            Fragile(),
            Language(LANGUAGES, translator=translator_for),
            Confirmation(lifetime=timedelta(minutes=5), started_at=STARTED),
            Held(lifetime=timedelta(minutes=5)),
            UserRouting(registry),
            RoomRouting(registry, is_allowed=lambda _: True, respond_to="everyone"),
        ]
        commands = [c for flow in flows for c in flow.commands()]
        service = Service(
            registry,
            commands=commands,
            cancellable=(CancelConfirmation(), CancelHeld()),
            started_at=STARTED,
            is_addressed=is_addressed,
        )
        self.turns = Turns(
            [*flows, service],
            store=store,
            conversations=self.conversations,
            clock=Clock(now=lambda: self.now, monotonic=lambda: self.seconds),
            settings=TurnSettings(language=language),
        )
        self._number = 0

    async def take(
        self,
        body: str,
        *,
        room: str = "!a",
        sender: UserId = ALICE,
        event_id: str | None = None,
        kind: EventKind = EventKind.TEXT,
    ) -> Outcome:
        self._number += 1
        inbound = Inbound(
            event_id=EventId(event_id or f"${self._number}"),
            room_id=RoomId(room),
            sender=sender,
            kind=kind,
            body=body,
        )
        return await self.turns.take(inbound)

    async def room(self, room: str) -> RoomRecord:
        stored = await self.store.read(RoomRecord, room_key(RoomId(room)))
        assert stored.value is not None
        return stored.value


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await SqliteStore.open(tmp_path / "lambda_matrix.db", now=lambda: STARTED)
    yield opened
    await opened.close()


def texts(outcome: Outcome) -> list[str]:
    return [content_of(row)["body"] for row in outcome.rows]


async def test_a_reply_is_rendered_in_a_thread(
    store: Store, rendering_threads: list[threading.Thread]
) -> None:
    await Stage(store, "a1").take("!help")

    assert rendering_threads
    assert threading.main_thread() not in rendering_threads


async def test_a_turn_commits_its_reply_under_an_id_made_from_the_event(store: Store) -> None:
    outcome = await Stage(store, "a1").take("!help", event_id="$x")

    [row] = outcome.rows
    assert row.transaction_id == transaction_id(EventId("$x"), 0)
    assert content_of(row)["m.relates_to"] == {"m.in_reply_to": {"event_id": "$x"}}
    assert await store.outbox.pending_rows() == (row,)
    assert await store.is_handled(EventId("$x"))


async def test_an_event_that_comes_again_changes_nothing(store: Store) -> None:
    stage = Stage(store, "a1", "a2")
    await stage.take("!agent 1", event_id="$x")
    await stage.take("!agent 2", event_id="$y")

    again = await stage.take("!agent 1", event_id="$x")

    assert again == Outcome()
    stored = await store.read(UserRecord, user_key(ALICE))
    assert stored.value == UserRecord(selected_agent_id=AgentId("a2"))


async def test_a_question_to_an_agent_leaves_the_event_unhandled_and_binds_the_room(
    store: Store,
) -> None:
    stage = Stage(store, "a1")

    first = await stage.take("hello", event_id="$x")
    again = await stage.take("hello", event_id="$x")

    assert first.question == again.question
    assert first.question is not None
    assert first.question.platform_chat_id == "1"
    assert not await store.is_handled(EventId("$x"))


async def test_a_handler_that_raises_leaves_everything_as_it_was(store: Store) -> None:
    stage = Stage(store, "a1")

    with pytest.raises(RuntimeError):
        await stage.take("!break", event_id="$x")

    assert await store.outbox.pending_rows() == ()
    assert not await store.is_handled(EventId("$x"))


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("!trigger", r"^lost: it triggers Pay, and .*Till.*, does not run \(running are lost, "),
        ("!ask", r"^lost: it triggers Pay, and .*Till.*, which answers it, does not run"),
        ("!mistype", r"^lost: it triggers Mistyped, and no event of a flow names that class"),
    ],
)
async def test_a_turn_that_triggers_what_no_flow_answers_fails_and_changes_nothing(
    store: Store, command: str, problem: str
) -> None:
    stage = Stage(store, "a1", further=[Lost()])

    with pytest.raises(UnansweredSignal, match=problem):
        await stage.take(command, event_id="$x")

    assert await store.outbox.pending_rows() == ()
    assert not await store.is_handled(EventId("$x"))


async def test_a_question_whose_yes_nothing_can_answer_is_not_asked(store: Store) -> None:
    stage = Stage(store, "a1", further=[Lost()])
    with pytest.raises(UnansweredSignal):
        await stage.take("!ask")

    assert texts(await stage.take("!cancel")) == [
        "Nothing is pending here, so there is nothing to cancel."
    ]


async def test_fifty_rooms_that_are_bound_at_once_get_fifty_numbers_and_chats(
    store: Store,
) -> None:
    stage = Stage(store, "a1")

    async with asyncio.TaskGroup() as tasks:
        for number in range(50):
            tasks.create_task(stage.take("hello", room=f"!r{number}"))

    rooms = [await stage.room(f"!r{number}") for number in range(50)]
    assert sorted(int(r.platform_chat_id or 0) for r in rooms) == list(range(1, 51))
    assert sorted(int((r.chat_id or "C0")[1:]) for r in rooms) == list(range(1, 51))


async def test_turns_that_meet_in_one_record_are_decided_anew_until_both_are_in(
    store: Store,
) -> None:
    stage = Stage(store, "a1")
    for room in ("!a", "!b", "!c"):
        await stage.take("", room=room, kind=EventKind.INVITED)

    async with asyncio.TaskGroup() as tasks:
        for room, sender in [("!a", BOB), ("!b", ALICE), ("!c", UserId("@carol:x"))]:
            tasks.create_task(stage.take("hello", room=room, sender=sender))

    chats = {(await stage.room(room)).chat_id for room in ("!a", "!b", "!c")}
    assert chats == {"C1", "C2", "C3"}
    stored = await store.read(UserRecord, user_key(ALICE))
    assert stored.value is not None
    assert stored.value.next_chat_index == 4


async def test_an_ephemeral_state_is_left_when_its_time_is_up(store: Store) -> None:
    stage = Stage(store, "a1")
    await stage.take("hello")
    await stage.take("!archive")
    assert len(stage.conversations) == 1

    stage.seconds = 301
    late = await stage.take("!yes")

    assert "I have no open question" in texts(late)[0]
    assert len(stage.conversations.sweep(301)) == 1


async def test_a_wall_clock_that_is_set_back_keeps_no_question_open(store: Store) -> None:
    stage = Stage(store, "a1")
    await stage.take("hello")
    await stage.take("!archive")

    stage.now -= timedelta(hours=1)
    stage.seconds = 301
    late = await stage.take("!yes")
    await stage.take("hello", room="!b")

    assert "I have no open question" in texts(late)[0]
    assert (await stage.room("!b")).platform_chat_id == "2"


async def test_one_yes_archives_and_a_second_finds_no_question(store: Store) -> None:
    stage = Stage(store, "a1")
    await stage.take("hello")
    await stage.take("!archive")

    first, second = await stage.take("!yes"), await stage.take("!yes")

    assert "is archived" in texts(first)[0]
    assert "I have no open question" in texts(second)[0]
    assert len(stage.conversations) == 0


async def test_cancel_reaches_whatever_is_pending(store: Store) -> None:
    stage = Stage(store, "a1", "a2")
    await stage.take("hello?")
    assert len(stage.conversations) == 1

    first, second = await stage.take("!cancel"), await stage.take("!cancel")

    assert texts(first) == ["OK, I won't pass your message on."]
    assert texts(second) == ["Nothing is pending here, so there is nothing to cancel."]
    assert len(stage.conversations) == 0


async def test_waiting_messages_are_reopened_by_the_choice_in_its_own_commit(
    store: Store,
) -> None:
    stage = Stage(store, "a1", "a2")
    prompted = await stage.take("hello?", event_id="$x")

    chosen = await stage.take("!agent 2", event_id="$y")

    [reopened] = chosen.reopened
    assert (reopened.inbound.event_id, reopened.attempt) == ("$x", 1)
    assert [r.event_id for r in await store.reopened()] == ["$x"]
    again = await stage.turns.take(reopened.inbound, reopened.attempt)
    assert again.question is not None
    assert again.question.agent_id == "a2"
    assert "Choose one" in texts(prompted)[0]


async def test_an_unreadable_message_is_answered_with_a_request_to_send_it_again(
    store: Store,
) -> None:
    outcome = await Stage(store, "a1").take("", kind=EventKind.UNREADABLE)

    assert "couldn't decrypt" in texts(outcome)[0]


@pytest.mark.parametrize("body", ["!help", "! help", "  !HELP  ", "!help me please", "!help\nme"])
async def test_commands_are_read_whatever_their_case_and_space(store: Store, body: str) -> None:
    outcome = await Stage(store, "a1").take(body)

    assert "Commands:" in texts(outcome)[0]


@pytest.mark.parametrize("body", ["! wow", "!!", "!?", "!", "help", "!1", "¡help"])
async def test_what_is_no_command_goes_to_the_agent(store: Store, body: str) -> None:
    outcome = await Stage(store, "a1").take(body)

    assert outcome.question is not None
    assert outcome.question.text == body


async def test_many_turns_at_once_leave_no_lock_and_no_conversation_behind(store: Store) -> None:
    stage = Stage(store, "a1")

    async with asyncio.TaskGroup() as tasks:
        for number in range(300):
            tasks.create_task(stage.take("!help", room=f"!r{number % 100}"))

    assert len(await store.outbox.pending_rows()) == 300
    assert len(stage.conversations) == 0
    assert ANY not in Confirmation.commands()


async def test_the_bot_speaks_the_language_that_its_user_has_chosen_in_every_room(
    store: Store,
) -> None:
    stage = Stage(store, "a1")
    await stage.take("!language русский")

    here, there = await stage.take("!help"), await stage.take("!cancel", room="!b")
    others = await stage.take("!help", sender=BOB)

    assert "Команды:" in texts(here)[0]
    assert texts(there) == ["Здесь ничего не ждёт, поэтому и отменять нечего."]
    assert "Commands:" in texts(others)[0]


async def test_the_language_that_was_chosen_comes_back_after_a_restart(store: Store) -> None:
    await Stage(store, "a1").take("!language ru", event_id="$x")

    told = await Stage(store, "a1").take("!cancel", event_id="$y")

    assert texts(told) == ["Здесь ничего не ждёт, поэтому и отменять нечего."]


async def test_who_has_chosen_no_language_is_spoken_to_in_that_of_the_config(
    store: Store,
) -> None:
    stage = Stage(store, "a1", language="ru")

    before = await stage.take("!cancel")
    await stage.take("!language en")
    after = await stage.take("!cancel")

    assert texts(before) == ["Здесь ничего не ждёт, поэтому и отменять нечего."]
    assert texts(after) == ["Nothing is pending here, so there is nothing to cancel."]


async def test_an_agent_is_asked_with_the_language_of_who_asks(store: Store) -> None:
    stage = Stage(store, "a1")
    await stage.take("!language ru")

    asked = await stage.take("привет")

    assert asked.question is not None
    assert asked.question.language == "ru"


@pytest.mark.parametrize(
    "kept",
    [
        '{"state": "dreaming", "version": 1, "record": {}}',
        '{"state": "chosen", "version": 1, "record": {"colour": "red"}}',
        '{"state": "chosen", "version": 1, "record": []}',
    ],
)
async def test_a_state_that_the_present_flow_does_not_know_is_set_aside_and_stops_nobody(
    store: Store, tmp_path: Path, kept: str
) -> None:
    key = flow_key("language", ConversationKey(ALICE))
    await store.commit(Commit(writes={key: kept}))
    stage = Stage(store, "a1")

    first, second = await stage.take("!help"), await stage.take("!help")

    assert texts(first) == texts(second)
    assert "Commands" in texts(first)[0]
    with plain(tmp_path / "lambda_matrix.db") as db:
        aside = db.execute("SELECT key, value FROM quarantine").fetchall()
    assert aside == [(key, kept)]
    assert (await store.read(FlowRecord, key)).value is None


@pytest.mark.parametrize(
    ("before", "command"),
    [([], "!write hello"), (["!write"], "!add hello"), (["!write"], "!burn")],
)
async def test_a_turn_that_asks_an_agent_may_not_change_a_durable_state(
    store: Store, tmp_path: Path, before: list[str], command: str
) -> None:
    stage = Stage(store, "a1", further=[Diary()])
    for earlier in before:
        await stage.take(earlier)
    kept = everything(tmp_path)

    with pytest.raises(TurnError, match="diary changes its durable state") as refused:
        await stage.take(command, event_id="$x")

    assert "do it in another turn" in str(refused.value)
    assert everything(tmp_path) == kept
    assert not await store.is_handled(EventId("$x"))


async def test_a_turn_that_asks_an_agent_may_leave_a_durable_state_as_it_is(store: Store) -> None:
    stage = Stage(store, "a1", further=[Diary()])
    await stage.take("!write")

    outcome = await stage.take("!ponder")

    assert outcome.question is not None
    assert outcome.question.text == "what is in it?"


async def test_a_turn_that_asks_no_agent_may_change_a_durable_state(
    store: Store, tmp_path: Path
) -> None:
    stage = Stage(store, "a1", further=[Diary()])

    outcomes = [await stage.take("!write"), await stage.take("!add")]

    assert outcomes == [Outcome(), Outcome()]
    assert '"lines":2' in str(everything(tmp_path)).replace(" ", "")


async def test_a_turn_that_asks_an_agent_may_change_an_ephemeral_state(store: Store) -> None:
    stage = Stage(store, "a1", further=[Whim()])

    outcome = await stage.take("!wonder")

    assert outcome.question is not None
    assert len(stage.conversations) == 1


def everything(folder: Path) -> list[tuple[str, str]]:
    """All records, by key."""
    with plain(folder / "lambda_matrix.db") as db:
        return db.execute("SELECT key, value FROM kv ORDER BY key").fetchall()
