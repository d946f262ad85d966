import re
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import define, evolve, frozen

from fsm import (
    ANY,
    STAY,
    Command,
    Event,
    EventKind,
    Flow,
    FlowError,
    Inbound,
    NoSuchTransition,
    QuestionRef,
    Reaction,
    Reset,
    RoomEvent,
    Scope,
    Snapshot,
    State,
    Text,
    Triggered,
    Turn,
    TurnError,
    durable,
    ephemeral,
    minutes,
    on,
)
from fsm.effects import AskAgent, Reply
from fsm.events import Stimulus
from fsm.values.ids import AgentId, EventId, PlatformChatId, RoomId, UserId


@frozen
class Order:
    size: int = 0


@frozen
class Sure:
    how: str = "very"


@frozen
class Doubt:
    about: str = ""


class Pizza(Flow):
    scope = Scope.USER

    idle = State(initial=True)
    ordered = State(durable, record=Order)
    doubtful = State(ephemeral, memory=Doubt, expires=minutes(5))

    order = Event(idle, ordered, command="order")
    order_nothing = Event(idle, STAY, command="order")
    enlarge = Event(ordered, STAY, command=("more", "larger"))
    cancel = Event(ordered, doubtful, text=True)
    sure = Event(doubtful, idle, command="yes", on=Sure)
    unreadable = Event(idle, STAY, on=EventKind.UNREADABLE)

    @order.guard
    def is_number(self, turn: Turn) -> bool:
        return turn.argument.isdigit()

    @on(order)
    async def note(self, turn: Turn, _data: None) -> Order:
        turn.reply(f"size {turn.argument}")
        return Order(int(turn.argument))

    @on(enlarge)
    def grow(self, _turn: Turn, order: Order) -> Order:
        return evolve(order, size=order.size + 1)

    @on(cancel)
    def doubt(self, turn: Turn, _order: Order) -> Doubt:
        return Doubt(turn.argument)


def a_turn(stimulus: Stimulus) -> Turn:
    inbound = Inbound(
        event_id=EventId("$1"), room_id=RoomId("!r"), sender=UserId("@a:x"), kind=EventKind.TEXT
    )
    return Turn(inbound=inbound, now=datetime(2026, 1, 1, tzinfo=UTC), stimulus=stimulus)


async def after(flow: Flow, snapshot: Snapshot, stimulus: Stimulus) -> tuple[Snapshot, Turn]:
    turn = a_turn(stimulus)
    move = flow.choose(snapshot, stimulus, turn)
    assert move is not None
    return await flow.step(snapshot, move, turn), turn


async def test_a_command_moves_the_conversation_and_its_handler_makes_the_record() -> None:
    snapshot, turn = await after(Pizza(), Snapshot("idle"), Command("order", "3"))

    assert snapshot == Snapshot("ordered", Order(3))
    assert turn.effects == [
        Reply(
            room_id=RoomId("!r"),
            text="size 3",
            in_reply_to=EventId("$1"),
            mention=UserId("@a:x"),
        ),
    ]


async def test_a_guard_that_says_no_leaves_the_command_to_the_next_event() -> None:
    snapshot, turn = await after(Pizza(), Snapshot("idle"), Command("order", "large"))

    assert snapshot == Snapshot("idle")
    assert turn.effects == []


@pytest.mark.parametrize("name", ["more", "larger"])
async def test_an_event_may_answer_to_several_commands(name: str) -> None:
    snapshot, _ = await after(Pizza(), Snapshot("ordered", Order(1)), Command(name))

    assert snapshot == Snapshot("ordered", Order(2))


async def test_text_and_occurrences_cause_events() -> None:
    doubtful, _ = await after(Pizza(), Snapshot("ordered", Order(1)), Text("hm"))
    idle, _ = await after(Pizza(), Snapshot("idle"), RoomEvent(EventKind.UNREADABLE))

    assert doubtful == Snapshot("doubtful", Doubt("hm"))
    assert idle == Snapshot("idle")


async def test_data_is_dropped_on_the_way_to_idle() -> None:
    snapshot, _ = await after(Pizza(), Snapshot("doubtful", Doubt()), Command("yes"))

    assert snapshot == Pizza().at_rest


def test_a_stimulus_that_the_state_does_not_answer_moves_nothing() -> None:
    stimulus = Command("yes")

    assert Pizza().choose(Snapshot("idle"), stimulus, a_turn(stimulus)) is None


def test_a_signal_that_the_state_does_not_answer_is_an_error_that_says_what_to_do() -> None:
    signal = Triggered(Sure())

    with pytest.raises(NoSuchTransition, match=r"pizza: state 'idle' does not answer Sure; add"):
        Pizza().choose(Snapshot("idle"), signal, a_turn(signal))


async def test_every_flow_has_reset_for_free_from_every_state() -> None:
    for state in Pizza.states:
        snapshot, _ = await after(Pizza(), Snapshot(state), Triggered(Reset(Pizza)))
        assert snapshot == Pizza().at_rest


async def test_a_signal_leads_on_and_is_read_by_its_class() -> None:
    snapshot, turn = await after(Pizza(), Snapshot("doubtful", Doubt()), Triggered(Sure("quite")))

    assert snapshot == Snapshot("idle")
    assert turn.signal(Sure) == Sure("quite")
    with pytest.raises(TurnError, match="this step answers no Doubt"):
        turn.signal(Doubt)


@define
class Changeable:
    """No signal: the flow that receives it could change it for the next one."""


@pytest.mark.parametrize(
    ("signal", "problem"),
    [
        (Pizza.sure, r"'sure' is an event; trigger a value of the class that it names"),
        (Sure, r"Sure is a class; trigger a value of it: Sure\(…\)"),
        ("sure", "'sure' is no signal; trigger a value of a frozen class"),
        (Changeable(), r"Changeable\(\) is no signal; trigger a value of a frozen class"),
    ],
)
def test_what_is_no_signal_is_not_triggered(signal: object, problem: str) -> None:
    turn = a_turn(Text("hi"))

    with pytest.raises(TurnError, match=problem):
        turn.trigger(signal)
    with pytest.raises(TurnError, match=problem):
        turn.confirm("Sure?", then=signal)
    assert turn.signals == []


def test_choosing_is_pure() -> None:
    stimulus = Command("order", "3")
    turn = a_turn(stimulus)

    moves = {Pizza().choose(Snapshot("idle"), stimulus, turn) for _ in range(3)}

    assert len(moves) == 1
    assert turn.effects == []


def test_a_flow_knows_its_name_commands_tiers_and_keys() -> None:
    key = Pizza().key(RoomId("!r"), UserId("@a:x"))

    assert (Pizza.name, key) == ("pizza", "@a:x")
    assert Pizza.commands() == {"order", "more", "larger", "yes"}
    assert Pizza().is_durable
    assert Pizza().record_type is Order


@pytest.mark.parametrize(
    ("scope", "key"),
    [(Scope.USER, "@a:x"), (Scope.ROOM, "!r"), (Scope.MEMBER, "!r|@a:x")],
)
def test_a_conversation_belongs_to_the_scope_of_its_flow(scope: Scope, key: str) -> None:
    flow = type("Scoped", (Flow,), {"scope": scope, "idle": State(initial=True)})()

    assert flow.key(RoomId("!r"), UserId("@a:x")) == key


async def test_a_handler_that_returns_the_wrong_data_is_named() -> None:
    class Wrong(Flow):
        idle = State(initial=True)
        there = State(durable, record=Order)
        go = Event(idle, there, command="go")
        back = Event(there, idle, command="back")

        @on(go)
        def forget(self, _turn: Turn, _data: None) -> str:
            return "no order"

    with pytest.raises(FlowError, match=r"Wrong.go: its handler returned str, but 'there'"):
        await after(Wrong(), Snapshot("idle"), Command("go"))


def test_a_turn_that_replies_may_not_ask_an_agent_and_the_other_way_round() -> None:
    replying, asking = a_turn(Text("x")), a_turn(Text("x"))
    replying.reply("first")
    asking.ask(AgentId("a"), PlatformChatId("1"), "x")

    with pytest.raises(TurnError):
        replying.ask(AgentId("a"), PlatformChatId("1"), "x")
    with pytest.raises(TurnError):
        asking.reply("too")
    assert [type(e) for e in asking.effects] == [AskAgent]


def _body(**names: Any) -> type[Flow]:
    return type("Bad", (Flow,), names)


def _idle() -> State:
    return State(initial=True)


def test_a_flow_needs_one_initial_state() -> None:
    with pytest.raises(FlowError, match="has 0"):
        _body()
    with pytest.raises(FlowError, match="has 2"):
        _body(idle=_idle(), other=_idle())


def test_the_initial_state_carries_nothing() -> None:
    with pytest.raises(FlowError, match="carries nothing"):
        _body(idle=State(durable, initial=True))


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        (State(), "does not say what a restart does"),
        (State(ephemeral, record=Order, expires=minutes(1)), "can't carry a record"),
        (State(durable, memory=Doubt), "can't carry memory"),
        (State(ephemeral), "must end by itself"),
        (State(ephemeral, expires=minutes(0)), "must end by itself"),
        (State(durable, expires=minutes(0)), "can't end before it has begun"),
    ],
)
def test_a_state_that_contradicts_its_tier_is_refused(state: State, problem: str) -> None:
    idle = _idle()
    with pytest.raises(FlowError, match=problem):
        _body(idle=idle, odd=state, go=Event(idle, state), back=Event(state, idle))


def test_reset_is_not_to_be_redefined() -> None:
    idle = _idle()
    with pytest.raises(FlowError, match="reset for free"):
        _body(idle=idle, reset=Event(idle, STAY))


def test_a_name_that_means_something_on_every_flow_is_refused() -> None:
    idle = _idle()
    with pytest.raises(FlowError, match=r"Bad.choose: the name means something on every flow"):
        _body(idle=idle, choose=Event(idle, STAY))


def test_events_name_states_of_their_own_flow() -> None:
    with pytest.raises(FlowError, match="states of this flow"):
        _body(idle=_idle(), go=Event(Pizza.idle, STAY))
    idle = _idle()
    with pytest.raises(FlowError, match="states of this flow"):
        _body(idle=idle, go=Event(idle, Pizza.ordered))
    with pytest.raises(FlowError, match="at least one source"):
        _body(idle=_idle(), go=Event((), STAY))


def test_an_event_into_a_state_with_data_needs_a_handler_that_makes_it() -> None:
    idle, there = _idle(), State(durable, record=Order)
    with pytest.raises(FlowError, match="nothing makes that data"):
        _body(idle=idle, there=there, go=Event(idle, there), back=Event(there, idle))


@pytest.mark.parametrize(
    "causes", [{"command": "go"}, {"text": True}, {"on": EventKind.JOINED}, {"command": ANY}]
)
def test_two_events_of_one_state_with_one_cause_are_refused(causes: dict[str, Any]) -> None:
    idle = _idle()
    with pytest.raises(FlowError, match="already answered by 'first'"):
        _body(idle=idle, first=Event(idle, STAY, **causes), second=Event(idle, STAY, **causes))


def test_every_state_is_reachable_and_leads_back_to_idle() -> None:
    idle, island = _idle(), State(durable)
    with pytest.raises(FlowError, match="no path of events leads from idle"):
        _body(idle=idle, island=island, back=Event(island, idle))
    idle, trap = _idle(), State(durable)
    with pytest.raises(FlowError, match="back to idle"):
        _body(idle=idle, trap=trap, go=Event(idle, trap))


def test_an_expiry_is_a_way_back_to_idle() -> None:
    idle, brief = _idle(), State(ephemeral, expires=minutes(1))

    flow = _body(idle=idle, brief=brief, go=Event(idle, brief))

    assert flow.states["brief"].expires == minutes(1)


def test_two_handlers_for_one_event_are_refused() -> None:
    with pytest.raises(FlowError, match="already handled"):

        class Twice(Flow):
            idle = State(initial=True)
            go = Event(idle, STAY, command="go")

            @on(go)
            def one(self, turn: Turn, data: None) -> None: ...

            @on(go)
            def two(self, turn: Turn, data: None) -> None: ...


@pytest.mark.parametrize("declared", ["❤", "❤\ufe0f"])
@pytest.mark.parametrize("put", ["❤", "❤\ufe0f"])
def test_a_reaction_counts_however_its_emoji_is_written(declared: str, put: str) -> None:
    event = Event(State(initial=True), STAY, reaction=declared)

    mark = QuestionRef(flow="pizza", id=EventId("$1"), life="1", asker=None)
    assert event.answers(Reaction(put, mark))


@pytest.mark.parametrize(
    ("text", "body", "expected"),
    [
        (r"(\d+)", " 7 ", True),
        (r"(\d+)", "7 a", False),
        (r"(.+)", "one\ntwo", True),
        (re.compile(r"([a-z]+)", re.IGNORECASE), " ABC ", True),
        (re.compile(r"(.+)"), "one\ntwo", False),
    ],
)
def test_a_regular_expression_is_a_string_or_compiled(
    text: str | re.Pattern[str], body: str, expected: object
) -> None:
    event = Event(State(initial=True), STAY, text=text)

    assert event.answers(Text(body)) is expected
    match = event.match(Text(body))
    assert (match is not None) is expected
    assert match is None or match[1] == body.strip()


class Ferry(Flow):
    idle = State(initial=True)
    crossing = State(durable, record=Order)
    go = Event(idle, crossing, command="go")
    grow = Event(crossing, STAY, command="grow")
    stop = Event(crossing, idle, command="stop")

    @on(go)
    async def start(self, turn: Turn) -> Order:
        turn.ask_back("How many?")
        return Order(1)

    @on(grow)
    def count(self, _turn: Turn, order: Order) -> Order:
        return Order(order.size + 1)


async def test_a_handler_takes_the_data_only_if_it_needs_it() -> None:
    crossing, _ = await after(Ferry(), Snapshot("idle"), Command("go"))
    grown, _ = await after(Ferry(), crossing, Command("grow"))

    assert (crossing, grown) == (Snapshot("crossing", Order(1)), Snapshot("crossing", Order(2)))


async def test_a_question_is_asked_by_the_flow_whose_handler_runs() -> None:
    _, turn = await after(Ferry(), Snapshot("idle"), Command("go"))

    [question] = turn.effects
    assert isinstance(question, Reply)
    assert question.question_ref is not None
    assert question.question_ref.flow == "ferry"
