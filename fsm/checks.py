"""What a flow's class body must satisfy: checked once, when the class is defined."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import timedelta

from fsm.errors import FlowError
from fsm.events import Event
from fsm.states import State, Tier

RESET = "reset"
"""The event that every flow has for free: back to idle, from anywhere."""


def check_flow(
    flow: str,
    states: Mapping[str, State],
    events: Mapping[str, Event],
    handled: Iterable[Event],
    *,
    reserved: Collection[str],
) -> None:
    """Raise ``FlowError`` for the first thing in the class body that can't be meant."""
    _check_names(flow, [*states, *events], reserved)
    _check_initial(flow, states)
    for state in states.values():
        _check_state(flow, state)
    for event in events.values():
        _check_event(flow, event, states, set(handled))
    _check_answers(flow, states, events)
    _check_reachable(flow, states, events)


def _check_names(flow: str, names: Iterable[str], reserved: Collection[str]) -> None:
    for name in names:
        if name == RESET:
            raise FlowError(flow, RESET, "every flow has reset for free", "choose another name")
        if name in reserved:
            raise FlowError(
                flow, name, "the name means something on every flow", "choose another name"
            )


def _check_initial(flow: str, states: Mapping[str, State]) -> None:
    initial = [state for state in states.values() if state.initial]
    if len(initial) != 1:
        raise FlowError(
            flow,
            initial[1].name if initial else "idle",
            f"a flow has one initial state, this one has {len(initial)}",
            "write idle = State(initial=True) and no other initial state",
        )
    if initial[0].tier or initial[0].data_type or initial[0].expires:
        raise FlowError(
            flow,
            initial[0].name,
            "the initial state carries nothing, so it has no tier, data or expiry",
            "move what it carries to a state of its own",
        )


def _check_state(flow: str, state: State) -> None:
    if state.initial:
        return
    problem, remedy = "", ""
    if state.tier is None:
        problem = "the state does not say what a restart does to it"
        remedy = "tag it: State(durable, …) or State(ephemeral, …)"
    elif state.tier is Tier.EPHEMERAL and state.record is not None:
        problem = "an ephemeral state can't carry a record, since nothing of it is saved"
        remedy = "make the state durable, or carry the data as memory="
    elif state.tier is Tier.DURABLE and state.memory is not None:
        problem = "a durable state can't carry memory, since all of it comes back"
        remedy = "carry the data as record=, or make the state ephemeral"
    elif state.tier is Tier.EPHEMERAL and not (state.expires and state.expires > timedelta(0)):
        problem = "an ephemeral state must end by itself"
        remedy = "give it expires=minutes(5), or what suits it"
    elif state.expires is not None and state.expires <= timedelta(0):
        problem = "a state can't end before it has begun"
        remedy = "give it expires=hours(8), or what suits it, or leave expires out"
    if problem:
        raise FlowError(flow, state.name, problem, remedy)


def _check_event(flow: str, event: Event, states: Mapping[str, State], handled: set[Event]) -> None:
    strangers = [s for s in event.sources if states.get(s.name) is not s]
    target = event.target
    if isinstance(target, State) and states.get(target.name) is not target:
        strangers.append(target)
    if strangers or not event.sources:
        raise FlowError(
            flow,
            event.name,
            "its sources and target must be states of this flow",
            "name states from the same class body, at least one source",
        )
    needs_data = [
        source.name
        for source in event.sources
        if (data_type := event.target_from(source).data_type) is not None
        and data_type is not source.data_type
    ]
    if needs_data and event not in handled:
        raise FlowError(
            flow,
            event.name,
            f"from {needs_data[0]!r} it leads to a state with data, and nothing makes that data",
            f"add a handler under @on({event.name}) that returns it",
        )


def _check_answers(flow: str, states: Mapping[str, State], events: Mapping[str, Event]) -> None:
    for state in states.values():
        taken: dict[str, Event] = {}
        for event in events.values():
            if state not in event.sources:
                continue
            for cause in _causes(event):
                if cause in taken:
                    raise FlowError(
                        flow,
                        event.name,
                        f"{cause} in state {state.name!r} is already answered by "
                        f"{taken[cause].name!r}",
                        f"put a guard on {taken[cause].name!r}, or drop one of the two",
                    )
                if event.guard is None:
                    taken[cause] = event


def _causes(event: Event) -> Iterator[str]:
    yield from (f"the command {name!r}" for name in event.command)
    yield from (f"the reaction {key}" for key in event.reaction)
    yield from (f"the answer {text!r}" for text in event.answer)
    if event.text:
        yield "text"
    if event.expiry:
        yield "the end of its time"
    if event.kind:
        yield f"an event of kind {event.kind.value!r}"


def _check_reachable(flow: str, states: Mapping[str, State], events: Mapping[str, Event]) -> None:
    idle = next(state for state in states.values() if state.initial)
    arrows = {
        (source, event.target_from(source)) for event in events.values() for source in event.sources
    }
    for state in states.values():
        if state not in _reachable(idle, arrows):
            raise FlowError(
                flow,
                state.name,
                "no path of events leads from idle to this state",
                "add an event that enters it, or drop the state",
            )
    expiring = {(state, idle) for state in states.values() if state.expires}
    backwards = {(target, source) for source, target in arrows | expiring}
    for state in states.values():
        if state not in _reachable(idle, backwards):
            raise FlowError(
                flow,
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
