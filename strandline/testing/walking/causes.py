"""Finds the actions by which a person causes each event of a flow."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from fsm import Event, EventKind, Flow, State
from fsm.events import ANY
from fsm.paths import Edge, PathPlan
from strandline.testing.walking.walker import Cause, Walker

Sample = Cause | tuple[Cause, ...]
"""One way to cause an event: one action, or several actions that are done one after another."""

Inputs = Mapping[Event | tuple[State, Event], Sample | list[Sample]]
"""The author's samples for each event; with ``(state, event)``, for the event in that state only.

A value is one sample, or a list of samples. With a list, there are walks with each of them.
"""

Without = Mapping[Event | tuple[State, Event] | State, str]
"""What the walks leave out, each with the reason as a text.

A key is an event, an event in one state as ``(state, event)``, or a state with all its events.
"""

NONSENSE = "walk-on"
"""The name of a command that no flow knows."""

SMALL_TALK = "Walk on."
"""A text that no flow expects."""

_PATIENT = {
    EventKind.INVITED,
    EventKind.JOINED,
    EventKind.LEFT,
    EventKind.ENTERED,
    EventKind.DEPARTED,
    EventKind.UPGRADED,
    EventKind.ROOM_CREATED,
    EventKind.ROOM_FAILED,
    EventKind.DONE,
    EventKind.REFUSED,
    EventKind.UNREADABLE,
}

_BY_KIND: Mapping[EventKind, Cause] = {
    EventKind.TEXT: SMALL_TALK,
    EventKind.FILE: Walker.sends_file,
    EventKind.OTHER: Walker.sends_sticker,
    EventKind.REDACTED: Walker.takes_back,
    EventKind.INVITED: Walker.invites,
    EventKind.LEFT: Walker.removes_bot,
    EventKind.ENTERED: Walker.has_company,
    EventKind.DEPARTED: Walker.loses_company,
    EventKind.UPGRADED: Walker.replaces_room,
}


@frozen
class Causes:
    """Finds the actions that cause a flow's events.

    Args:
        flow: The flow.
        inputs: The author's samples for events.
        without: The events that are left out, with the reasons.
        prefix: What commands begin with.
    """

    flow: type[Flow]
    inputs: Inputs
    without: Without
    prefix: str = "!"

    @property
    def plan(self) -> PathPlan:
        """What planning the walks needs: which events are left out, and how many samples exist."""
        samples = {
            (state.name, event.name): len(self._samples(state, event)) or 1
            for event in self.flow.events.values()
            for state in event.sources
        }
        return PathPlan(without=self._left_out(), samples=samples)

    def problems(self) -> Iterator[str]:
        """Yield what the author must correct in ``inputs`` before the flow can be walked.

        There is one text for each event that needs a sample, and one for each event of another
        flow.
        """
        name, left_out = self.flow.__name__, self._left_out()
        for given in self.inputs:
            event = given[1] if isinstance(given, tuple) else given
            if event.flow is not self.flow:
                yield f"inputs: {event.name!r} is no event of {name}"
        for event in self.flow.events.values():
            walked = [s for s in event.sources if (s.name, event.name) not in left_out]
            is_caused = self._own(event) or all(self._samples(s, event) for s in walked)
            if walked and not is_caused and not event.on_expiry:
                yield (
                    f"{name}.{event.name}: {_why(event)}. Say what a person does to cause it: "
                    f'inputs={{{name}.{event.name}: "…"}}'
                )

    def of(self, edge: Edge, turn: int) -> tuple[Cause, ...]:
        """Return the actions that cause this step, in the order in which they are done.

        Args:
            edge: The step.
            turn: How often the group of walkers has tried the step before. If the event has no
                sample and declares several causes, this number selects one of them.
        """
        event = self.flow.events[edge.event]
        samples = self._samples(self.flow.states[edge.source], event)
        if samples:
            sample = samples[edge.sample]
            return sample if isinstance(sample, tuple) else (self._said(event, sample),)
        own = self._own(event)
        return (own[turn % len(own)],)

    def is_prompt(self, edge: Edge) -> bool:
        """Whether the event of this step, if it happens, happens in the turn of the last action.

        False if it happens in a later turn, as when the bot joins a room after an invite.
        """
        return self.flow.events[edge.event].kind not in _PATIENT

    def _samples(self, state: State, event: Event) -> Sequence[Sample]:
        given = self.inputs.get((state, event), self.inputs.get(event))
        if given is None:
            return ()
        return given if isinstance(given, list) else [given]

    def _own(self, event: Event) -> list[Cause]:
        """Return the actions that follow from the event's declaration, such as its commands."""
        causes: list[Cause] = [self.prefix + name for name in event.command if name != ANY]
        causes += [self.prefix + NONSENSE] if ANY in event.command else []
        causes += [SMALL_TALK] if event.text is True else []
        causes += [Walker.sends_file] if event.attachment else []
        causes += [_BY_KIND[event.kind]] if event.kind and event.kind in _BY_KIND else []
        causes += [_reaction(key) for key in event.reaction]
        answers = [SMALL_TALK if text == ANY else text for text in event.reply[:1]]
        causes += [_reply(text) for text in answers]
        return causes

    def _said(self, event: Event, sample: Cause) -> Cause:
        """Return the sample as an action.

        For an event with a command, a text without the command prefix is the command's argument.
        """
        names = [name for name in event.command if name != ANY]
        if isinstance(sample, str) and names and not sample.startswith(self.prefix):
            return f"{self.prefix}{names[0]} {sample}"
        return sample

    def _left_out(self) -> Collection[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        for what in self.without:
            match what:
                case State():
                    found |= {(what.name, name) for name in self.flow.events}
                case Event():
                    found |= {(state.name, what.name) for state in what.sources}
                case (state, event):
                    found.add((state.name, event.name))
        return found


def _why(event: Event) -> str:
    if event.text_label:
        return f"a message that matches {event.text_label!r} causes it"
    if event.kind is not None:
        return f"something of kind {event.kind.value!r} causes it"
    if event.signal is not None:
        return f"only a turn that triggers a {event.signal.__name__} causes it"
    return "nothing causes it"


def _reaction(key: str) -> Cause:
    async def react(walker: Walker) -> Any:
        await walker.reacts(key)

    return react


def _reply(text: str) -> Cause:
    async def reply(walker: Walker) -> Any:
        await walker.replies(text)

    return reply
