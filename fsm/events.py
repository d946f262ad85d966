"""Events, which move a flow from one state to another, and the stimuli that cause events."""

import re
from collections.abc import Callable, Collection, Iterable
from enum import Enum
from typing import Any, TypeVar

from attrs import define, field, frozen, has

from fsm.errors import FlowError, TurnError
from fsm.states import State
from fsm.values.inbound import EventKind
from fsm.values.messages import QuestionRef, Triggered
from fsm.values.text import answered, compared


class Target(Enum):
    """A target that is not a fixed state: ``STAY`` or ``BACK``."""

    STAY = "="
    BACK = "<"


STAY = Target.STAY
"""A target: the event is answered, and the conversation stays in its state."""

BACK = Target.BACK
"""A target: the conversation returns to the state from which the current one was entered, and gets
back the data of that time."""

ANY = "*"
"""For ``Event(command=…)``: every command that no earlier event of the flow and no earlier flow
answers. For ``Event(reply=…)``: every text."""


@frozen
class Command:
    """A person typed a command: ``!name argument``.

    Args:
        name: The name of the command without the prefix, normalized as by ``answered``.
        argument: The text after the name; empty if there is none.
        is_loose: Whether there was a blank between the prefix and the name. The message then counts
            as a command only if a flow has a command of this name, otherwise as a text.
    """

    name: str
    argument: str = ""
    is_loose: bool = field(default=False, eq=False)


@frozen
class Text:
    """A person wrote a text that is not a command."""

    body: str


@frozen
class Attached:
    """A person sent a file, with or without a caption."""


@frozen
class RoomEvent:
    """An inbound event of a kind that ``Event(on=…)`` can name: an invite, a join or a file."""

    kind: EventKind


@frozen
class Reaction:
    """A person reacted with an emoji to a question of the bot that this person may answer.

    Args:
        key: The emoji.
        question_ref: The reference of the question.
    """

    key: str
    question_ref: QuestionRef


@frozen
class Answer:
    """A person replied to a question of the bot that this person may answer.

    Args:
        body: The text of the reply.
        question_ref: The reference of the question.
    """

    body: str
    question_ref: QuestionRef


@frozen
class Expiry:
    """The current state of the conversation has expired."""


Stimulus = Command | Text | Attached | RoomEvent | Reaction | Answer | Expiry | Triggered

Guard = Callable[[Any, Any], bool]
"""A method of a flow, called with the flow and the turn; returns whether the event may happen now.
It must change nothing."""

G = TypeVar("G", bound=Guard)

Handler = Callable[..., Any]


def _name_of(method: object) -> str:
    return getattr(method, "__name__", repr(method))


def _names(command: str | Iterable[str]) -> tuple[str, ...]:
    return (command,) if isinstance(command, str) else tuple(command)


def _states(sources: Any) -> tuple[State, ...]:
    named: tuple[Any, ...] = (sources,) if isinstance(sources, State | str) else tuple(sources)
    for state in named:
        if not isinstance(state, State):
            problem = f"an event leads from a state, and {state!r} is none"
            raise FlowError("Event", "sources", problem, "name the state itself, without quotes")
    return named


def _target(target: Any) -> State | Target:
    if not isinstance(target, State | Target):
        problem = f"an event leads to a state or to STAY, and {target!r} is neither"
        raise FlowError("Event", "target", problem, "name the state itself, without quotes")
    checked: State | Target = target
    return checked


@define(eq=False)
class Event:
    """One event of a flow, declared in the flow's class body.

    Args:
        sources: The state or states in which the event is possible.
        target: The next state. ``STAY``: the state does not change. ``BACK``: the durable or idle
            state from which the source state was entered, with the record of that time.
        command: The name or names of the commands that cause the event, without the prefix; ``ANY``
            for every command that no earlier event or flow answers.
        text: Which messages that are not commands cause the event. True: all; False: none. A
            regular expression, as a string or compiled: those that it matches completely, after
            blanks at both ends are removed. ``turn.match`` is then the match. A string is compiled
            with ``re.DOTALL``.
        attachment: Whether a file, with or without a caption, causes the event.
        reaction: The emoji that cause the event. Only a reaction to a question of this flow counts,
            by a person who may answer the question.
        reply: The texts that cause the event. Only a reply to such a question counts. Upper and
            lower case are the same, and punctuation around the text is ignored. ``ANY`` is every
            text.
        on: What else causes the event. An ``EventKind``: an inbound event of this kind. A frozen
            attrs class: a signal of this class, which a handler has triggered with
            ``turn.trigger``. None: nothing else.
        on_expiry: Whether the expiry of the source state causes the event.
        help: A short description of the commands for ``!help``. Empty: ``!help`` does not list the
            commands.
        arguments: The arguments of the commands as ``!help`` shows them, such as ``NAME``.
    """

    sources: tuple[State, ...] = field(converter=_states)
    target: State | Target = field(converter=_target)
    command: tuple[str, ...] = field(default=(), kw_only=True, converter=_names)
    text: bool | str | re.Pattern[str] = field(default=False, kw_only=True)
    attachment: bool = field(default=False, kw_only=True)
    reaction: tuple[str, ...] = field(default=(), kw_only=True, converter=_names)
    reply: tuple[str, ...] = field(default=(), kw_only=True, converter=_names)
    on: EventKind | type | None = field(default=None, kw_only=True)
    on_expiry: bool = field(default=False, kw_only=True)
    help: str = field(default="", kw_only=True)
    arguments: str = field(default="", kw_only=True)
    name: str = field(default="", init=False)
    flow: Any = field(default=None, init=False, repr=False)
    """The flow class in whose body the event is declared; None until that class is complete."""
    condition: Guard | None = field(default=None, init=False)
    """The event's guard; None if the event has none."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.flow = owner

    def guard(self, method: G) -> G:
        """Make the decorated method the event's guard.

        The guard takes ``(self, turn)`` and returns a bool. It may read the turn but must change
        nothing. If the guard returns False, the event is skipped, and the next event that answers
        the stimulus is tried. One method may guard several events.

        Raises:
            FlowError: The event already has a guard, or its class is already defined.
        """
        if self.flow is not None:
            problem = "its class is complete, so it can't be given a guard"
            remedy = "guard an event in the body of its own class"
            raise FlowError(self.flow.__name__, self.name, problem, remedy)
        if self.condition is not None:
            problem = f"it has two guards, {_name_of(self.condition)} and {_name_of(method)}"
            raise FlowError("Event", "guard", problem, "write one method that calls both")
        self.condition = method
        return method

    @property
    def signal(self) -> type | None:
        """The signal class that causes the event; None if no signal does."""
        return self.on if isinstance(self.on, type) else None

    @property
    def kind(self) -> EventKind | None:
        """The kind of inbound event given as ``on=``; None if none is given."""
        return self.on if isinstance(self.on, EventKind) else None

    def answers(self, stimulus: Stimulus) -> bool:
        """Whether the stimulus matches one of the event's causes, such as a command.

        The conversation's state and the event's guard are not checked.
        """
        match stimulus:
            case Command(name=name, is_loose=is_loose):
                takes_any = ANY in self.command and not is_loose
                answers = takes_any or name in map(compared, self.command)
            case Text():
                answers = self.text is True or self.match(stimulus) is not None
            case Attached():
                answers = self.attachment
            case RoomEvent(kind=kind):
                answers = self.on is kind
            case Reaction(key=key):
                answers = compared(key) in map(compared, self.reaction)
            case Answer(body=body):
                answers = ANY in self.reply or answered(body) in map(answered, self.reply)
            case Expiry():
                answers = self.on_expiry
            case Triggered(signal=signal):
                answers = type(signal) is self.on
        return answers

    def match(self, stimulus: Stimulus) -> re.Match[str] | None:
        """Match the event's regular expression against the stimulus.

        Returns:
            The match; None if the expression does not match, the event has no expression, or the
            stimulus is not a ``Text``.
        """
        if self.pattern is None or not isinstance(stimulus, Text):
            return None
        return self.pattern.fullmatch(stimulus.body.strip())

    @property
    def pattern(self) -> re.Pattern[str] | None:
        """The event's regular expression, compiled; None if it has none.

        Raises:
            re.error: The regular expression is invalid.
        """
        match self.text:
            case str(expression):
                return re.compile(expression, re.DOTALL)
            case re.Pattern() as compiled:
                return compiled
            case _:
                return None

    @property
    def text_label(self) -> str:
        """The event's regular expression as written in the source; empty if it has none."""
        pattern = self.text.pattern if isinstance(self.text, re.Pattern) else self.text
        return pattern if isinstance(pattern, str) else ""


def triggered(signal: object) -> Triggered:
    """Return the signal as a ``Triggered``, which a flow can receive as a stimulus.

    Raises:
        TurnError: ``signal`` is not an instance of a frozen attrs class.
    """
    if isinstance(signal, Event):
        problem = f"{signal.name!r} is an event"
        raise TurnError(
            problem, "trigger a value of the class that it names: Event(…, on=HandOver)"
        )
    if isinstance(signal, type):
        problem = f"{signal.__name__} is a class"
        raise TurnError(problem, f"trigger a value of it: {signal.__name__}(…)")
    if not is_signal_class(type(signal)):
        problem = f"{signal!r} is no signal"
        raise TurnError(problem, "trigger a value of a frozen class that an event names as on=")
    return Triggered(signal)


def is_signal_class(cls: object) -> bool:
    """Whether ``cls`` is a frozen attrs class, the only kind of class that a signal can have."""
    is_frozen = getattr(cls, "__delattr__", None) is not object.__delattr__
    return isinstance(cls, type) and has(cls) and is_frozen


def returning(events: Iterable[Event]) -> frozenset[State]:
    """The states from which one of the events leads ``BACK``."""
    return frozenset(s for event in events if event.target is BACK for s in event.sources)


def origins(events: Collection[Event], state: State) -> list[State]:
    """Return the states to which ``BACK`` may lead from ``state``.

    These are the states from which an event enters ``state``. A state that has a ``BACK`` event
    itself is replaced by its own such states.

    Args:
        events: All events of the flow.
        state: The state in which the ``BACK`` event happens.
    """
    passing = returning(events)
    found: dict[State, None] = {}
    seen, ahead = {state}, [state]
    while ahead:
        present = ahead.pop(0)
        for source in (s for event in events if event.target is present for s in event.sources):
            if source not in passing:
                found[source] = None
            elif source not in seen:
                seen.add(source)
                ahead.append(source)
    return list(found)


def targets_from(events: Collection[Event], event: Event, source: State) -> list[State]:
    """Return the states to which an event may lead from ``source``.

    Args:
        events: All events of the flow.
        event: The event.
        source: The state in which the event happens.

    Returns:
        One state, or any number of states if the event's target is ``BACK``.
    """
    match event.target:
        case Target.STAY:
            return [source]
        case Target.BACK:
            return origins(events, source)
        case state:
            return [state]


H = TypeVar("H", bound=Handler)


@frozen
class HandlerMark:
    """Names the events that a method handles. ``on`` sets it, and the flow's class reads it."""

    events: tuple[Event, ...]


def on(*events: Event) -> Callable[[H], H]:
    """Make the decorated method the handler of ``events``.

    The handler takes ``(self, turn)``, or ``(self, turn, data)`` if it needs the data of the source
    state: a record, a memory or None. It returns the data of the target state; None if that state
    has no data. If the target state has data and the handler returns None, the data of the source
    state is kept, which must then be of the target state's class. The handler may be ``async``.

    Raises:
        FlowError: No event is given, or an argument is not an event.
    """
    strange = [event for event in events if not isinstance(event, Event)]
    if strange or not events:
        named = getattr(strange[0], "__name__", repr(strange[0])) if strange else "nothing"
        raise FlowError("@on", named, "it is no event", "write @on(event) above the handler")

    def mark(handler: H) -> H:
        earlier: HandlerMark = getattr(handler, "handles", HandlerMark(()))
        handler.handles = HandlerMark((*earlier.events, *events))  # type: ignore[attr-defined]
        return handler

    return mark
