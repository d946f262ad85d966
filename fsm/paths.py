"""Walks: the paths through a flow, shortest first, for tests that try each of them.

Restarts and expiries are steps too, so a walk includes the state after a restart. The same flow has
the same walks in the same order.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from enum import Enum

from attrs import evolve, field, frozen

from fsm.events import ANY, Event, Target, returning
from fsm.flow import Flow
from fsm.states import State

MOST_WALKS = 40
"""The maximum number of walks if no length is given: it limits the length."""

LONGEST = 4
"""The maximum length of walks if no length is given."""


class By(Enum):
    """What causes a step."""

    EVENT = "event"
    EXPIRY = "expiry"
    RESTART = "restart"


@frozen
class Edge:
    """One step of a walk.

    Args:
        source: The state before it.
        target: The state after it.
        by: What causes it.
        event: The event's name; empty for a restart, and for an expiry without an event.
        label: Its name in reports.
        sample: Which of the event's samples causes it.
        lasts: The time that passes, if an expiry causes it.
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
        """Whether the step happens to the whole process, not to one conversation."""
        return self.by is not By.EVENT

    @property
    def transition(self) -> "Edge":
        """The same step, without its sample."""
        return evolve(self, sample=0)

    def __str__(self) -> str:
        return f"--{self.label}--> {self.target}"


@frozen
class Position:
    """The state at the end of a walk, and the state after a restart from there."""

    state: str
    fallback: str
    origin: str = ""
    """Where ``BACK`` leads; empty in a state that has no such event."""


@frozen
class Walk:
    """A sequence of steps that begins at idle."""

    idle: str
    edges: tuple[Edge, ...] = ()

    def __len__(self) -> int:
        return len(self.edges)

    def __str__(self) -> str:
        return " ".join((self.idle, *map(str, self.edges)))

    @property
    def ends_in_restart(self) -> bool:
        """Whether its last step is a restart."""
        return bool(self.edges) and self.edges[-1].by is By.RESTART

    @property
    def globals(self) -> tuple[Edge, ...]:
        """Its restarts and expiries, without their sources and targets."""
        return tuple(
            Edge("", "", edge.by, lasts=edge.lasts) for edge in self.edges if edge.is_global
        )

    def prefixes(self) -> Iterator["Walk"]:
        """All prefixes of the walk, from the empty one to the walk itself."""
        for length in range(len(self.edges) + 1):
            yield evolve(self, edges=self.edges[:length])

    def then(self, edge: Edge) -> "Walk":
        """The walk extended by this step."""
        return evolve(self, edges=(*self.edges, edge))


@frozen
class PathPlan:
    """Settings for planning walks: which events are left out, and how many samples each has.

    Args:
        without: Events, by state and name, that are left out.
        samples: The number of samples of each event, by state and name; the default is one.
    """

    without: Collection[tuple[str, str]] = ()
    samples: Mapping[tuple[str, str], int] = field(factory=dict)


def position(flow: type[Flow], walk: Walk) -> Position:
    """The flow's state at the end of the walk, and the state after a restart there."""
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
    """The target state of the event from here."""
    match event.target:
        case Target.STAY:
            return here.state
        case Target.BACK:
            return here.origin or flow.idle_state.name
        case state:
            return state.name


def edges_from(flow: type[Flow], here: Position, plan: PathPlan) -> list[Edge]:
    """The possible next steps, in the order of the class body; a restart is the last."""
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
    """The event's name in reports."""
    command = next((name for name in event.command if name != ANY), None)
    return f"!{command}" if command else event.name


def transitions(flow: type[Flow], plan: PathPlan) -> dict[Edge, Walk]:
    """All possible steps, each with the shortest walk that ends with it."""
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

    Each walk's prefixes are among them. None has two restarts in a row or begins with one: that
    would change nothing.

    Args:
        flow: The flow.
        length: The maximum number of steps. Default: the largest number that gives at most
            ``MOST_WALKS`` walks.
        plan: Which events are left out, and the number of samples.
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
    """The steps that the expiry of the state causes."""
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
    """Whether the event has a cause other than expiry."""
    caused = (
        event.command,
        event.text,
        event.attachment,
        event.reaction,
        event.reply,
        event.on,
    )
    return not event.on_expiry or any(caused)
