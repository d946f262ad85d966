"""What a class body may not say, and by which code it is told."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import define, frozen

from fsm import (
    ANY,
    STAY,
    Event,
    EventKind,
    Flow,
    FlowError,
    Saved,
    State,
    Turn,
    durable,
    ephemeral,
    minutes,
    on,
    upgrade,
)
from fsm.checks.findings import collecting
from fsm.formats import FlowType


@frozen
class Order:
    size: int = 0


class Plain:
    pass


@define
class Changing:
    size: int = 0


def codes(**names: Any) -> list[str]:
    with collecting() as flawed:
        type("Bad", (Flow,), names)
    return [each.finding.code for each in flawed]


def with_event(**causes: Any) -> list[str]:
    idle = State(initial=True)
    return codes(idle=idle, go=Event(idle, STAY, **causes))


def with_guard(guard: Any) -> list[str]:
    idle = State(initial=True)
    go = Event(idle, STAY, command="go")
    return codes(idle=idle, go=go, may=go.guard(guard))


def with_state(state: State) -> list[str]:
    idle = State(initial=True)
    return codes(idle=idle, odd=state, go=Event(idle, state), back=Event(state, idle))


def with_handler(handler: Any) -> list[str]:
    idle = State(initial=True)
    go = Event(idle, STAY, command="go")
    return codes(idle=idle, go=go, handle=on(go)(handler))


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State(), ["SL111"]),
        (State(ephemeral, record=Order, expires=minutes(1)), ["SL112", "SL122"]),
        (State(durable, memory=Order), ["SL113", "SL122"]),
        (State(ephemeral), ["SL114"]),
        (State(durable, expires=minutes(-1)), ["SL115"]),
        (State(durable, record=Plain), ["SL116", "SL122"]),
        (State(durable), []),
    ],
)
def test_a_state_is_true_to_its_tier(state: State, expected: list[str]) -> None:
    assert with_state(state) == expected


@pytest.mark.parametrize(
    ("causes", "expected"),
    [
        ({"on_expiry": True}, ["SL123"]),
        ({"text": "("}, ["SL124"]),
        ({"text": 5}, ["SL124"]),
        ({"text": re.compile("(go)")}, []),
        ({"on": Order}, []),
        ({"on": EventKind.JOINED}, []),
        ({"on": Plain}, ["SL135"]),
        ({"on": Changing}, ["SL135"]),
        ({"on": "order"}, ["SL135"]),
        ({"on": Order()}, ["SL135"]),
        ({"command": "Go"}, ["SL134"]),
        ({"command": "!go"}, ["SL134"]),
        ({"command": "go on"}, ["SL134"]),
        ({"command": ""}, ["SL134"]),
        ({"command": ("go", "weiter", "далее", "forget-me", ANY)}, []),
        ({"reply": "Yes"}, ["SL134"]),
        ({"command": "cafe\u0301"}, ["SL134"]),
        ({"reply": ("yes", ANY)}, []),
    ],
)
def test_what_causes_an_event_can_happen(causes: dict[str, Any], expected: list[str]) -> None:
    assert with_event(**causes) == expected


@pytest.mark.parametrize(
    ("guard", "expected"),
    [
        (lambda _turn: True, ["SL125"]),
        (lambda _flow, _turn, _data: True, ["SL125"]),
        ("no method", ["SL125"]),
        (lambda _flow, _turn: True, []),
        (min, []),  # Python does not say what it takes
    ],
)
def test_a_guard_takes_the_turn(guard: Any, expected: list[str]) -> None:
    assert with_guard(guard) == expected


def test_an_event_has_one_guard() -> None:
    def may(_flow: Flow, _turn: Turn) -> bool:
        return True

    def might(_flow: Flow, _turn: Turn) -> bool:
        return False

    go = Event(State(initial=True), STAY, command="go")
    go.guard(may)

    with pytest.raises(FlowError, match="two guards, may and might; write one method"):
        go.guard(might)


def test_an_event_of_another_class_is_not_guarded() -> None:
    class Whole(Flow):
        idle = State(initial=True)
        go = Event(idle, STAY, command="go")

    def may(_flow: Flow, _turn: Turn) -> bool:
        return False

    with pytest.raises(FlowError, match=r"Whole.go: its class is complete"):
        Whole.go.guard(may)


async def deferred(_flow: Flow, _turn: Turn) -> bool:
    return False


def yielding(_flow: Flow, _turn: Turn) -> Iterator[bool]:
    yield False


@pytest.mark.parametrize("guard", [deferred, yielding])
def test_a_guard_that_would_always_say_yes_is_refused(guard: Any) -> None:
    assert with_guard(guard) == ["SL128"]


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (lambda _flow: None, ["SL127"]),
        (lambda _flow, _turn: None, []),
        (lambda _flow, _turn, _data: None, []),
        (lambda _flow, _turn, _data, _more: None, ["SL127"]),
        (lambda _flow, _turn, _data, *, _named: None, ["SL127"]),
        (lambda _flow, _turn, _data, _more=None: None, []),
        (lambda *_all: None, []),
    ],
)
def test_a_handler_takes_the_turn_and_the_data_if_it_needs_it(
    handler: Any, expected: list[str]
) -> None:
    assert with_handler(handler) == expected


def test_a_handler_that_would_never_run_is_refused() -> None:
    def yields(_flow: Flow, _turn: Turn, _data: None) -> Iterator[None]:
        yield

    assert with_handler(yields) == ["SL129"]


def test_a_handler_that_names_no_event_is_refused() -> None:
    strange: Any = "go"
    with pytest.raises(FlowError, match=r"@on.'go': it is no event; write @on\(event\)"):
        on(strange)
    with pytest.raises(FlowError, match=r"@on.nothing: it is no event"):
        on()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"command": "go"}, {"command": ("come", "go")}),
        ({"command": ANY}, {"command": "go"}),
        ({"reply": ANY}, {"reply": "yes"}),
        ({"text": True}, {"text": r"\d+"}),
        ({"text": r"\d+"}, {"text": r"\d+"}),
        ({"reaction": "✅"}, {"reaction": "✅"}),
        ({"reaction": "👍"}, {"reaction": "👍🏽"}),
        ({"attachment": True}, {"attachment": True}),
        ({"on": Order}, {"on": Order}),
    ],
)
def test_an_event_that_an_earlier_one_always_forestalls_is_refused(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    idle = State(initial=True)

    forestalled = codes(idle=idle, a=Event(idle, STAY, **first), b=Event(idle, STAY, **second))
    guarded = Event(idle, STAY, **first)
    guarded.guard(lambda _flow, _turn: False)

    assert forestalled == ["SL131"]
    assert codes(idle=idle, a=guarded, b=Event(idle, STAY, **second)) == []


def test_the_particular_may_come_before_the_general() -> None:
    idle = State(initial=True)

    found = codes(
        idle=idle,
        number=Event(idle, STAY, text=r"\d+"),
        text=Event(idle, STAY, text=True),
        go=Event(idle, STAY, command="go"),
        rest=Event(idle, STAY, command=ANY),
    )

    assert found == []


def same(_flow: Flow, saved: Saved) -> Saved:
    return saved


async def same_later(_flow: Flow, saved: Saved) -> Saved:
    return saved


def same_of_nothing(_flow: Flow) -> Saved:
    return Saved("idle", {})


@pytest.mark.parametrize(
    ("version", "upgrades", "expected"),
    [
        (1, {}, []),
        (2, {"first": (1, same)}, []),
        (2, {}, ["SL141"]),
        (1, {"first": (1, same)}, ["SL142"]),
        (2, {"first": (1, same), "again": (1, same_later)}, ["SL143", "SL142"]),
        (2, {"first": (1, same_of_nothing)}, ["SL143"]),
        (0, {}, ["SL144"]),
        ("2", {}, ["SL144"]),
    ],
)
def test_a_version_reads_each_older_one(
    version: Any, upgrades: dict[str, Any], expected: list[str]
) -> None:
    methods = {name: upgrade(number)(method) for name, (number, method) in upgrades.items()}

    assert codes(idle=State(initial=True), version=version, **methods) == expected


def test_everything_is_found_at_once_and_the_first_of_it_raised() -> None:
    def bad() -> dict[str, Any]:
        idle = State(initial=True)
        return {"idle": idle, "odd": State(ephemeral), "go": Event(idle, STAY, command="Go")}

    assert codes(**bad()) == ["SL114", "SL134", "SL132", "SL133"]
    with pytest.raises(FlowError, match=r"Bad.odd: an ephemeral state must end by itself"):
        type("Bad", (Flow,), bad())


def test_a_flow_is_called_what_can_be_part_of_a_key_and_of_a_files_name() -> None:
    with pytest.raises(FlowError, match="'a/b' can be no part of a key"):

        class Odd(Flow):
            name = "a/b"
            idle = State(initial=True)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ({"there": State("durable")}, "does not say what a restart does"),  # type: ignore[arg-type]
        ({"there": State(durable, expires=60)}, "expires after 60, which is no length of time"),  # type: ignore[arg-type]
        ({"guard": "may"}, "its guard is 'may', which can't be called"),
        ({"text": b"x+"}, "its text is b'x.', which is no regular expression"),
    ],
)
def test_what_beginners_write_is_told_with_what_to_write(
    written: dict[str, Any], problem: str
) -> None:
    idle = State(initial=True)
    there = written.pop("there", None) or State(durable)
    guard = written.pop("guard", None)
    body: dict[str, Any] = {
        "idle": idle,
        "there": there,
        "go": Event(idle, there, command="go", **written),
        "back": Event(there, idle),
    }
    if guard is not None:
        body["go"].guard(guard)

    with pytest.raises(FlowError, match=problem):
        FlowType("Beginner", (Flow,), body)


def test_a_state_between_quotes_is_no_state() -> None:
    idle: Any = State(initial=True)

    with pytest.raises(FlowError, match="leads from a state, and 'idle' is none"):
        Event("idle", idle)
    with pytest.raises(FlowError, match="leads to a state or to STAY, and 'there' is neither"):
        Event(idle, "there")
