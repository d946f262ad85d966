"""Flows: conversations declared as finite-state machines whose states say what a restart does."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, ClassVar, TypeVar

from attrs import frozen

from fsm.checks.class_body import RESET, Body, findings
from fsm.checks.findings import report
from fsm.checks.methods import takes
from fsm.errors import FlowError, NoSuchTransition
from fsm.events import Event, Handler, HandlerMark, Stimulus, Target, returning
from fsm.formats import FlowType
from fsm.machine import Table
from fsm.states import Scope, State, Tier
from fsm.turn import Turn
from fsm.values.ids import ConversationKey, RoomId, UserId
from fsm.values.messages import Reset, Triggered


@frozen
class Snapshot:
    """The state of one conversation: the state's name and its data."""

    state: str
    data: object = None
    origin: "Snapshot | None" = None
    """Where ``BACK`` leads, in a state that has such an event; None for idle."""


@frozen
class Transition:
    """The transition that a flow chose for a stimulus: an event and its target state."""

    event: str
    target: str
    entered: bool = True
    """Whether the target is entered, or entered again: its expiry starts from the beginning."""


@frozen
class Saved:
    """The saved form of one conversation, as an older version of its flow wrote it.

    Args:
        state: The name of the durable state.
        record: Its record, as a JSON value.
    """

    state: str
    record: dict[str, Any]


class Flow(metaclass=FlowType):
    """Base class of flows. A subclass declares states, then events, then guards and handlers.

    One instance serves all its conversations and keeps no data about them.

    Attributes:
        scope: Whom one conversation belongs to.
        name: The flow's name in keys, logs and diagrams: the class name in lower case.
        version: What its records are saved under. Raise it when their shape changes, and say with
            ``upgrade`` how what an older version has saved is read.
    """

    scope: ClassVar[Scope] = Scope.MEMBER
    name: ClassVar[str] = ""
    version: ClassVar[int] = 1
    states: ClassVar[Mapping[str, State]] = {}
    events: ClassVar[Mapping[str, Event]] = {}
    idle_state: ClassVar[State]
    _handlers: ClassVar[Mapping[str, Handler]] = {}
    _upgrades: ClassVar[Mapping[int, Handler]] = {}
    _table: ClassVar[Table]
    _returning: ClassVar[frozenset[State]] = frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.name = cls.__dict__.get("name") or cls.__name__.lower()
        cls.states = {n: v for n, v in vars(cls).items() if isinstance(v, State)}
        cls.events = {n: v for n, v in vars(cls).items() if isinstance(v, Event)}
        handlers = list(handlers_of(cls))
        cls._handlers = {
            e.name: _with_data(handler) for handler, events in handlers for e in events
        }
        upgrades = list(_upgrades(cls))
        cls._upgrades = dict(upgrades)
        body = Body(
            flow=cls.__name__,
            name=cls.name,
            states=cls.states,
            events=cls.events,
            handlers=handlers,
            version=cls.version,
            upgrades=upgrades,
            reserved=dir(Flow),
        )
        if report(cls, list(findings(body))):
            cls.idle_state = next(s for s in cls.states.values() if s.initial)
            cls._table = Table(cls.states, cls.events)
            cls._returning = returning(cls.events.values())

    def lifetime(self, state: State) -> timedelta | None:
        """How long ``state`` lasts; None for ever."""
        return state.expires

    @property
    def at_rest(self) -> Snapshot:
        """The initial snapshot: the idle state, where conversations begin and a reset leads."""
        return Snapshot(self.idle_state.name)

    @property
    def record_type(self) -> type | None:
        """The record class of the flow's durable states, if it has any with a record."""
        return next((s.record for s in self.states.values() if s.record), None)

    @property
    def is_durable(self) -> bool:
        """Whether any of its states survives a restart."""
        return any(s.tier is Tier.DURABLE for s in self.states.values())

    @classmethod
    def commands(cls) -> frozenset[str]:
        """All commands that some state of the flow answers."""
        return frozenset(name for event in cls.events.values() for name in event.command)

    @classmethod
    def signals(cls) -> frozenset[type]:
        """The signal classes that some state of the flow answers."""
        return frozenset(event.signal for event in cls.events.values() if event.signal is not None)

    def key(self, room_id: RoomId, user_id: UserId) -> ConversationKey:
        """The key of the conversation to which an event of this user in this room belongs."""
        match self.scope:
            case Scope.USER:
                return ConversationKey(user_id)
            case Scope.ROOM:
                return ConversationKey(room_id)
            case Scope.MEMBER:
                return ConversationKey(f"{room_id}|{user_id}")

    def choose(self, snapshot: Snapshot, stimulus: Stimulus, turn: Turn) -> Transition | None:
        """Choose the first event, in the order of the class body, that answers ``stimulus`` here.

        Guards read the turn and change nothing.

        Raises:
            NoSuchTransition: This state does not answer the signal.
        """
        turn.flow = self.name
        if isinstance(stimulus, Triggered) and isinstance(stimulus.signal, Reset):
            return Transition(RESET, self.idle_state.name)
        for event in self.events.values():
            if not event.answers(stimulus):
                continue
            turn.match = event.match(stimulus)
            target = self._table.target(event.name, snapshot.state, self, turn)
            if target is not None:
                if event.target is Target.BACK:
                    target = self._origin(snapshot).state
                return Transition(event.name, target, entered=event.target is not Target.STAY)
        if isinstance(stimulus, Triggered):
            raise NoSuchTransition(self.name, snapshot.state, type(stimulus.signal).__name__)
        return None

    async def step(self, snapshot: Snapshot, move: Transition, turn: Turn) -> Snapshot:
        """Run the event's handler and return the snapshot after it.

        The handler's effects are in ``turn``. If the handler raises, the snapshot is unchanged.
        """
        turn.flow = self.name
        handler = self._handlers.get(move.event)
        event = self.events.get(move.event)
        turn.match = event.match(turn.stimulus) if event is not None else None
        made = handler(self, turn, snapshot.data) if handler else None
        if inspect.isawaitable(made):
            made = await made
        is_back = event is not None and event.target is Target.BACK
        left = self._origin(snapshot) if is_back else snapshot
        return Snapshot(
            move.target, self._data(left, move, made), self._entered_from(snapshot, move)
        )

    def _origin(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot to which ``BACK`` leads."""
        return snapshot.origin or self.at_rest

    def _entered_from(self, snapshot: Snapshot, move: Transition) -> Snapshot | None:
        """The state and data to which ``BACK`` will lead after this transition.

        Returns:
            None if the target state has no event that leads to ``BACK``, or if that leads to idle.
        """
        if self.states[move.target] not in self._returning:
            return None
        is_inside = self.states[snapshot.state] in self._returning
        origin = snapshot.origin if is_inside else snapshot
        return None if origin == self.at_rest else origin

    def read_saved(self, saved: Saved, version: int) -> Saved:
        """Convert what ``version`` of this flow has saved to the form of the current version.

        Raises:
            ValueError: It was saved by a later version.
        """
        if version > self.version:
            problem = f"version {version} has saved it, and this is version {self.version}"
            raise ValueError(problem)
        for number in range(version, self.version):
            saved = self._upgrades[number](self, saved)
        return saved

    def _data(self, snapshot: Snapshot, move: Transition, made: object) -> object:
        wanted = self.states[move.target].data_type
        data = snapshot.data if made is None and wanted is not None else made
        if (wanted is None and data is not None) or (
            wanted is not None and not isinstance(data, wanted)
        ):
            raise FlowError(
                type(self).__name__,
                move.event,
                f"its handler returned {type(made).__name__}, "
                f"but {move.target!r} carries {wanted.__name__ if wanted else 'nothing'}",
                "return what the target state carries",
            )
        return data


H = TypeVar("H", bound=Callable[..., Saved])


def upgrade(version: int) -> Callable[[H], H]:
    """Make the decorated method the reader of what ``version`` of the flow has saved.

    It takes ``(self, saved)`` and returns the ``Saved`` that the next version would have written.
    It runs at each read until the conversation is saved again, so it must have no side effects.
    """

    def mark(method: H) -> H:
        method.upgrades = version  # type: ignore[attr-defined]
        return method

    return mark


def handlers_of(cls: type[Flow]) -> Iterator[tuple[Handler, tuple[Event, ...]]]:
    """The methods under ``@on``, each with the events that it handles."""
    for value in vars(cls).values():
        mark = getattr(value, "handles", None)
        if isinstance(mark, HandlerMark):
            yield value, mark.events


def _with_data(handler: Handler) -> Handler:
    """Adapt a handler to one signature: the flow, the turn and the data of the source state."""
    if takes(handler, 3):
        return handler
    return lambda flow, turn, _data: handler(flow, turn)


def _upgrades(cls: type[Flow]) -> Iterator[tuple[int, Handler]]:
    for value in vars(cls).values():
        version = getattr(value, "upgrades", None)
        if isinstance(version, int):
            yield version, value
