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
    """The state of one conversation.

    Args:
        state: The name of the state.
        data: The record or the memory of the conversation; None if the state has no data.
    """

    state: str
    data: object = None
    origin: "Snapshot | None" = None
    """The snapshot to which ``BACK`` leads. None if that is idle, or if the state has no ``BACK``
    event."""


@frozen
class Transition:
    """The transition that a flow chose for a stimulus.

    Args:
        event: The name of the event.
        target: The name of the state to which the event leads.
    """

    event: str
    target: str
    entered: bool = True
    """Whether the conversation enters the target state, or enters it again, so that the state's
    lifetime starts anew. False for ``STAY``: the state then expires when it would have anyway."""


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
        scope: What there is one conversation for: a user, a room, or a user in a room.
        name: The flow's name in keys, logs and diagrams. Default: the class name in lower case.
        version: The version that is stored with each saved conversation. Raise it when the states
            or their records change their shape, and write a method under ``upgrade`` for each older
            version, which converts the conversations that this version has saved.
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
        """Return how long a conversation may stay in ``state``; None for ever.

        This is the ``expires`` of the state. A flow may override it, to use the config for example.
        """
        return state.expires

    @property
    def at_rest(self) -> Snapshot:
        """The snapshot of the idle state, where a conversation begins; a reset leads back to it."""
        return Snapshot(self.idle_state.name)

    @property
    def record_type(self) -> type | None:
        """The record class of the first state that has one; None if no state has a record."""
        return next((s.record for s in self.states.values() if s.record), None)

    @property
    def is_durable(self) -> bool:
        """Whether any state of the flow is durable."""
        return any(s.tier is Tier.DURABLE for s in self.states.values())

    @classmethod
    def commands(cls) -> frozenset[str]:
        """Return all commands that some state of the flow answers, by name; ``ANY`` is included."""
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
        """Choose the first event, in the order of the class body, that answers ``stimulus``.

        The event must be possible in the state of ``snapshot``, and its guard must return True.
        Nothing is changed, except ``turn.flow`` and ``turn.match``, which guards read. The signal
        ``Reset`` leads from every state to idle.

        Returns:
            The transition; None if no event answers the stimulus, unless it is a signal.

        Raises:
            NoSuchTransition: The stimulus is a signal that the current state does not answer.
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
        """Run the handler of a transition's event, and return the conversation's new snapshot.

        The handler adds its effects to ``turn``. What it raises is passed on.

        Args:
            snapshot: The snapshot before the step.
            move: The transition that ``choose`` returned.
            turn: The turn.

        Raises:
            FlowError: The handler returned data that the target state does not carry.
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
        """Return the snapshot to which ``BACK`` leads from ``snapshot``."""
        return snapshot.origin or self.at_rest

    def _entered_from(self, snapshot: Snapshot, move: Transition) -> Snapshot | None:
        """Return the snapshot to which ``BACK`` will lead after the transition ``move``.

        Returns:
            None if the target state has no ``BACK`` event, or if ``BACK`` leads to idle.
        """
        if self.states[move.target] not in self._returning:
            return None
        is_inside = self.states[snapshot.state] in self._returning
        origin = snapshot.origin if is_inside else snapshot
        return None if origin == self.at_rest else origin

    def read_saved(self, saved: Saved, version: int) -> Saved:
        """Convert a conversation that another version of the flow has saved.

        Args:
            saved: The saved form of the conversation.
            version: The version of the flow that has saved it.

        Returns:
            The saved form that the current version would have written.

        Raises:
            ValueError: ``version`` is later than the current version.
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
    """Make the decorated method convert conversations that ``version`` of the flow has saved.

    The method takes ``(self, saved)``, a ``Saved`` of this version, and returns the ``Saved`` that
    the next version would have written. It runs each time such a conversation is read, until the
    conversation is saved again, so it must have no side effects.
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
    """Return the handler as a function of the flow, the turn and the data of the source state.

    A handler that takes no data is wrapped.
    """
    if takes(handler, 3):
        return handler
    return lambda flow, turn, _data: handler(flow, turn)


def _upgrades(cls: type[Flow]) -> Iterator[tuple[int, Handler]]:
    for value in vars(cls).values():
        version = getattr(value, "upgrades", None)
        if isinstance(version, int):
            yield version, value
