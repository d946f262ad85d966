"""Walks: the ways through a flow, shortest first, for tests that try each of them.

Restarts and the end of a state's time are steps like any other, so a walk says where a restart
leaves whoever has walked it. The same flow has the same walks in the same order.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from enum import Enum

from attrs import evolve, field, frozen

from fsm.events import ANY, Event, Target, returning
from fsm.flow import Flow
from fsm.states import State

MOST_WALKS = 40
"""Where no length is given, walks are as long as gives no more than these."""

LONGEST = 4
"""And no longer than this."""


class By(Enum):
    """What a step is taken by."""

    EVENT = "event"
    EXPIRY = "expiry"
    RESTART = "restart"


@frozen
class Edge:
    """One step of a walk.

    Args:
        source: Where it leads from.
        target: Where it leads to.
        by: What it is taken by.
        event: The event's name; empty for a restart, and for an end of time with no event.
        label: How it is written.
        sample: Which of the event's samples causes it.
        lasts: The time that passes, where it is taken by that.
    """

    source: str
    target: str
    by: By
    event: str = ""
    label: str = field(default="", eq=False)
    sample: int = 0
    lasts: timedelta | None = None

    @property
    def is_global(self) -> bool:
        """It happens to the whole process, not to one conversation."""
        return self.by is not By.EVENT

    @property
    def transition(self) -> "Edge":
        """The same whatever the sample."""
        return evolve(self, sample=0)

    def __str__(self) -> str:
        return f"--{self.label}--> {self.target}"


@frozen
class Position:
    """Where a walk has come to, and where a restart would leave it."""

    state: str
    fallback: str
    origin: str = ""
    """Where ``BACK`` leads; empty in a state that has no such event."""


@frozen
class Walk:
    """Steps from idle."""

    idle: str
    edges: tuple[Edge, ...] = ()

    def __len__(self) -> int:
        return len(self.edges)

    def __str__(self) -> str:
        return " ".join((self.idle, *map(str, self.edges)))

    @property
    def ends_in_restart(self) -> bool:
        """Its last step is a restart."""
        return bool(self.edges) and self.edges[-1].by is By.RESTART

    @property
    def globals(self) -> tuple[Edge, ...]:
        """Its restarts and ends of time, without where they lead from and to."""
        return tuple(
            Edge("", "", edge.by, lasts=edge.lasts) for edge in self.edges if edge.is_global
        )

    def prefixes(self) -> Iterator["Walk"]:
        """The walks that it begins with, the empty one first, itself last."""
        for length in range(len(self.edges) + 1):
            yield evolve(self, edges=self.edges[:length])

    def then(self, edge: Edge) -> "Walk":
        """The walk that goes on with this step."""
        return evolve(self, edges=(*self.edges, edge))


@frozen
class PathPlan:
    """What is known of how a flow's events are caused.

    Args:
        without: Events, by state and name, that are not walked.
        samples: How many samples an event has, by state and name; one if it is not named.
    """

    without: Collection[tuple[str, str]] = ()
    samples: Mapping[tuple[str, str], int] = field(factory=dict)


def position(flow: type[Flow], walk: Walk) -> Position:
    """Where the walk has come to."""
    here = Position(walk.idle, walk.idle)
    for edge in walk.edges:
        here = arrive(flow, here, edge.target)
    return here


def arrive(flow: type[Flow], here: Position, target: str) -> Position:
    """The position after a step to ``target``."""
    state = flow.states[target]
    passing = returning(flow.events.values())
    is_inside = flow.states[here.state] in passing
    origin = here.origin if is_inside else here.state
    fallback = target if state.initial or state.is_durable else here.fallback
    return Position(target, fallback, origin if state in passing else "")


def _target(flow: type[Flow], here: Position, event: Event) -> str:
    """The state that the event leads to."""
    match event.target:
        case Target.STAY:
            return here.state
        case Target.BACK:
            return here.origin or flow.idle_state.name
        case state:
            return state.name


def edges_from(flow: type[Flow], here: Position, plan: PathPlan) -> list[Edge]:
    """The steps that can be taken, in the order of the class body; a restart is the last."""
    state = flow.states[here.state]
    events = [
        event
        for event in flow.events.values()
        if state in event.sources and (state.name, event.name) not in plan.without
    ]
    edges = [
        Edge(state.name, _target(flow, here, event), By.EVENT, event.name, label(event), number)
        for event in events
        if _has_cause(event)
        for number in range(plan.samples.get((state.name, event.name), 1))
    ]
    edges += _ends(flow, here, state, [event for event in events if event.on_expiry])
    edges.append(Edge(state.name, here.fallback, By.RESTART, label="restart"))
    return edges


def label(event: Event) -> str:
    """How a step by this event is written."""
    command = next((name for name in event.command if name != ANY), None)
    return f"!{command}" if command else event.name


def transitions(flow: type[Flow], plan: PathPlan) -> dict[Edge, Walk]:
    """Every step that some walk takes, with the shortest walk that ends with it."""
    start = Walk(flow.idle_state.name)
    found: dict[Edge, Walk] = {}
    seen = {position(flow, start)}
    ahead = [start]
    while ahead:
        walk = ahead.pop(0)
        here = position(flow, walk)
        for edge in edges_from(flow, here, plan):
            longer = walk.then(edge)
            found.setdefault(edge, longer)
            there = arrive(flow, here, edge.target)
            if there not in seen:
                seen.add(there)
                ahead.append(longer)
    return found


def left_out(flow: type[Flow], plan: PathPlan) -> list[tuple[str, str]]:
    """The declared events, by state and name, that no walk can take."""
    taken = {(edge.source, edge.event) for edge in transitions(flow, plan)}
    return [
        (source.name, event.name)
        for event in flow.events.values()
        for source in event.sources
        if (source.name, event.name) not in taken
    ]


def walks(
    flow: type[Flow], *, length: int | None = None, plan: PathPlan | None = None
) -> list[Walk]:
    """All walks of up to ``length`` steps, and longer ones for steps that need them.

    Each walk's beginnings are among them. None goes through two restarts in a row, or begins
    with one: that would change nothing.

    Args:
        flow: The flow.
        length: How many steps; as many as give no more than ``MOST_WALKS``, if none is given.
        plan: What is known of its events.
    """
    plan = plan or PathPlan()
    layers = [[Walk(flow.idle_state.name)]]
    while len(layers) <= (LONGEST if length is None else length):
        longer = [walk.then(edge) for walk in layers[-1] for edge in _onward(flow, walk, plan)]
        size = sum(not walk.ends_in_restart for layer in (*layers, longer) for walk in layer)
        if not longer or (length is None and len(layers) > 1 and size > MOST_WALKS):
            break
        layers.append(longer)
    found = dict.fromkeys(walk for layer in layers for walk in layer)
    taken = {edge for walk in found for edge in walk.edges}
    for edge, walk in transitions(flow, plan).items():
        if edge not in taken and not (edge.by is By.RESTART and edge.source == walk.idle):
            found |= dict.fromkeys(walk.prefixes())
    return sorted(found, key=len)


def _onward(flow: type[Flow], walk: Walk, plan: PathPlan) -> Iterator[Edge]:
    for edge in edges_from(flow, position(flow, walk), plan):
        if edge.by is not By.RESTART or (walk.edges and not walk.ends_in_restart):
            yield edge


def _ends(flow: type[Flow], here: Position, state: State, events: list[Event]) -> Iterator[Edge]:
    """The steps that the end of the state's time leads to."""
    if state.expires is None:
        return
    for event in events:
        target = _target(flow, here, event)
        label_ = f"{event.name}: time is up"
        yield Edge(state.name, target, By.EXPIRY, event.name, label_, lasts=state.expires)
    is_said = any(event.on_expiry and state in event.sources for event in flow.events.values())
    if not is_said:
        target = flow.idle_state.name if state.is_durable else here.fallback
        yield Edge(state.name, target, By.EXPIRY, label="time is up", lasts=state.expires)


def _has_cause(event: Event) -> bool:
    """It is caused by something else than the end of a state's time."""
    caused = (
        event.command,
        event.text,
        event.attachment,
        event.reaction,
        event.reply,
        event.on,
    )
    return not event.on_expiry or any(caused)
