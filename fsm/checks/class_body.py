"""What a flow's class body must satisfy: checked once, when the class is defined."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from attrs import frozen, has

from fsm.checks.causes import causes, is_cause, never_matched
from fsm.checks.findings import Finding
from fsm.checks.methods import Flaws, guard_flaws, handler_flaws, upgrade_flaws
from fsm.events import Event, origins, returning, targets_from
from fsm.states import State, Tier

RESET = "reset"
"""The event that every flow has by default: from any state to idle."""


@frozen(kw_only=True)
class Body:
    """The content of a flow's class body.

    Args:
        flow: The name of the class.
        name: The name of the flow.
        states: The states by name.
        events: The events by name.
        handlers: The methods under ``@on``, each with the events that it handles.
        version: The flow's version.
        upgrades: The methods under ``@upgrade``, each with the version whose conversations it
            converts.
        reserved: The names of the attributes of ``Flow``, which no state or event may have.
    """

    flow: str
    name: str
    states: Mapping[str, State]
    events: Mapping[str, Event]
    handlers: Iterable[tuple[Callable[..., Any], tuple[Event, ...]]]
    version: int
    upgrades: Sequence[tuple[int, Callable[..., Any]]]
    reserved: Collection[str]

    @property
    def initial(self) -> list[State]:
        """The states that are declared as initial."""
        return [state for state in self.states.values() if state.initial]


def findings(body: Body) -> Iterator[Finding]:
    """All errors in the class body, in the order to fix them."""
    for check in (
        _names,
        _flow_name,
        _initial,
        _states,
        _events,
        _handlers,
        _answers,
        _origins,
        _reachable_states,
        _upgrades,
    ):
        for code, where, problem, remedy in check(body):
            yield Finding(code=code, flow=body.flow, where=where, problem=problem, remedy=remedy)


Found = Iterator[tuple[str, str, str, str]]
"""Yields a tuple for each error: its code, the name in the class body, the problem, the remedy."""


def _names(body: Body) -> Found:
    for name in (*body.states, *body.events):
        if name == RESET:
            yield "SL101", RESET, "every flow has reset for free", "choose another name"
        elif name in body.reserved:
            yield "SL101", name, "the name means something on every flow", "choose another name"


def _flow_name(body: Body) -> Found:
    if not re.fullmatch(r"[\w.-]+", body.name):
        yield (
            "SL104",
            "name",
            f"the flow's name {body.name!r} can be no part of a key or of a file's name",
            "write letters, digits, hyphens and underscores",
        )


def _initial(body: Body) -> Found:
    if len(body.initial) != 1:
        yield (
            "SL102",
            body.initial[1].name if body.initial else "idle",
            f"a flow has one initial state, this one has {len(body.initial)}",
            "write idle = State(initial=True) and no other initial state",
        )
    for state in body.initial:
        if state.tier or state.data_type or state.expires:
            yield (
                "SL103",
                state.name,
                "the initial state carries nothing, so it has no tier, data or expiry",
                "move what it carries to a state of its own",
            )


def _states(body: Body) -> Found:
    for state in body.states.values():
        if state.initial:
            continue
        for code, problem, remedy in _state(state):
            yield code, state.name, problem, remedy


def _state(state: State) -> Flaws:
    expires: Any = state.expires  # what an author has written, whatever it is
    if state.tier is None or not isinstance(state.tier, Tier):
        yield (
            "SL111",
            "the state does not say what a restart does to it",
            "tag it with the name, not with a text: State(durable, …) or State(ephemeral, …)",
        )
    if state.tier is Tier.EPHEMERAL and state.record is not None:
        yield (
            "SL112",
            "an ephemeral state can't carry a record, since nothing of it is saved",
            "make the state durable, or carry the data as memory=",
        )
    if state.tier is Tier.DURABLE and state.memory is not None:
        yield (
            "SL113",
            "a durable state can't carry memory, since all of it comes back",
            "carry the data as record=, or make the state ephemeral",
        )
    if expires is not None and not isinstance(expires, timedelta):
        yield (
            "SL115",
            f"it expires after {expires!r}, which is no length of time",
            "write expires=minutes(5), or seconds, hours, days",
        )
    elif state.tier is Tier.EPHEMERAL and not (state.expires and state.expires > timedelta(0)):
        yield (
            "SL114",
            "an ephemeral state must end by itself",
            "give it expires=minutes(5), or what suits it",
        )
    elif state.expires is not None and state.expires <= timedelta(0):
        yield (
            "SL115",
            "a state can't end before it has begun",
            "give it expires=hours(8), or what suits it, or leave expires out",
        )
    if state.data_type is not None and not has(state.data_type):
        yield (
            "SL116",
            f"{state.data_type.__name__} is no attrs class, so it can't be compared and saved",
            "put @attrs.frozen on it",
        )


def _events(body: Body) -> Found:
    handled = {event for _, events in body.handlers for event in events}
    for event in body.events.values():
        for code, problem, remedy in _event(body, event, is_handled=event in handled):
            yield code, event.name, problem, remedy


def _event(body: Body, event: Event, *, is_handled: bool) -> Flaws:
    guard: Any = event.condition  # what an author has written, whatever it is
    text: Any = event.text
    named = [*event.sources, *([event.target] if isinstance(event.target, State) else [])]
    if any(body.states.get(state.name) is not state for state in named) or not event.sources:
        yield (
            "SL121",
            "its sources and target must be states of this flow",
            "name states from the same class body, at least one source",
        )
        return
    needs_data = [
        source.name
        for source in event.sources
        if isinstance(event.target, State)
        if (data_type := event.target.data_type) is not None and data_type is not source.data_type
    ]
    if needs_data and not is_handled:
        yield (
            "SL122",
            f"from {needs_data[0]!r} it leads to a state with data, and nothing makes that data",
            f"add a handler under @on({event.name}) that returns it",
        )
    if event.on_expiry and not any(source.expires for source in event.sources):
        yield (
            "SL123",
            "it is caused by the end of a time, and none of its sources has an end",
            "give its source expires=minutes(5), or what suits it",
        )
    if guard is not None and not callable(guard):
        yield (
            "SL125",
            f"its guard is {guard!r}, which can't be called",
            f"decorate a method: @{event.name}.guard above def may(self, turn: Turn) -> bool",
        )
    elif guard is not None:
        yield from guard_flaws(guard)
    if event.on is not None and not is_cause(event.on):
        yield (
            "SL135",
            f"its on= is {event.on!r}, which is no EventKind and no frozen attrs class",
            "write on=EventKind.…, or the class of a signal, with @attrs.frozen on it",
        )
        return
    if not isinstance(text, bool | str | re.Pattern):
        yield (
            "SL124",
            f"its text is {text!r}, which is no regular expression",
            'write the expression as a text: text=r"…", or text=True for any text',
        )
        return
    yield from never_matched(event)


def _handlers(body: Body) -> Found:
    seen: set[Event] = set()
    for handler, events in body.handlers:
        for event in events:
            if body.events.get(event.name) is not event or event in seen:
                yield (
                    "SL126",
                    handler.__name__,
                    f"it handles {event.name!r}, which is another flow's or already handled",
                    "give each event of this class body one handler",
                )
            seen.add(event)
        for code, problem, remedy in handler_flaws(handler):
            yield code, handler.__name__, problem, remedy


def _answers(body: Body) -> Found:
    for state in body.states.values():
        taken: dict[str, Event] = {}
        for event in body.events.values():
            if state not in event.sources:
                continue
            for cause, wider in causes(event):
                rival = taken.get(cause) or taken.get(wider)
                if rival is not None:
                    yield (
                        "SL131",
                        event.name,
                        f"{cause} in state {state.name!r} is already answered by {rival.name!r}",
                        f"put a guard on {rival.name!r}, or drop one of the two",
                    )
                elif event.condition is None:
                    taken[cause] = event


def _origins(body: Body) -> Found:
    events = body.events.values()
    for state in returning(events):
        for origin in origins(events, state):
            if not origin.initial and not origin.is_durable:
                yield (
                    "SL136",
                    state.name,
                    f"BACK leads from it to {origin.name!r}, which is ephemeral",
                    f"enter it from durable states or idle, or name {origin.name} as the target",
                )


def _reachable_states(body: Body) -> Found:
    if len(body.initial) != 1:
        return
    [idle] = body.initial
    arrows = {
        (source, target)
        for event in body.events.values()
        for source in event.sources
        for target in targets_from(body.events.values(), event, source)
    }
    for state in body.states.values():
        if state not in _reachable(idle, arrows):
            yield (
                "SL132",
                state.name,
                "no path of events leads from idle to this state",
                "add an event that enters it, or drop the state",
            )
    ends = {(state, idle) for state in body.states.values() if state.expires and state.is_durable}
    falls_back = {(t, s) for s, t in arrows if t.expires and not t.is_durable}
    backwards = {(target, source) for source, target in arrows | ends | falls_back}
    for state in body.states.values():
        if state not in _reachable(idle, backwards):
            yield (
                "SL133",
                state.name,
                "no path of events leads from this state back to idle",
                "add an event that ends it",
            )


def _reachable(start: State, arrows: set[tuple[State, State]]) -> set[State]:
    found, new = {start}, [start]
    while new:
        state = new.pop()
        for source, target in arrows:
            if source is state and target not in found:
                found.add(target)
                new.append(target)
    return found


def _upgrades(body: Body) -> Found:
    if type(body.version) is not int or body.version < 1:
        yield (
            "SL144",
            "version",
            f"{body.version!r} is no version",
            "count versions from 1, in whole numbers",
        )
        return
    missing = set(range(1, body.version))
    for number, upgrade in body.upgrades:
        for code, problem, remedy in upgrade_flaws(upgrade):
            yield code, upgrade.__name__, problem, remedy
        if number not in missing:
            yield (
                "SL142",
                upgrade.__name__,
                f"version {body.version} needs no upgrade, or no other one, from version {number}",
                "drop it, or raise the version",
            )
        missing -= {number}
    for number in sorted(missing):
        yield (
            "SL141",
            "version",
            f"version {body.version} does not know how to read version {number}",
            f"write one method under @upgrade({number})",
        )
