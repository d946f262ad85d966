"""Naming: whether an event that one flow names is one that a flow of this bot has."""

from collections.abc import Mapping

from fsm.checks.class_body import RESET
from fsm.errors import NoSuchEvent
from fsm.flow import Flow
from fsm.values.messages import Question, Signal


def refuse_unknown(signal: Signal, *, asker: str, running: Mapping[str, Flow]) -> None:
    """Refuse a signal that nothing can answer, or a question with an answer that nothing can.

    Args:
        signal: What a turn triggers.
        asker: The name of the flow that triggers it.
        running: The flows of the bot by their names.

    Raises:
        NoSuchEvent: The flow does not run, or has no such event.
    """
    asked = signal.payload
    answers = (asked.then, asked.otherwise) if isinstance(asked, Question) else ()
    for each in (signal, *answers):
        if each is not None:
            error = unknown(each.flow, each.event, asker=asker, running=running)
            if error is not None:
                raise error


def unknown(
    flow: str, event: str, *, asker: str, running: Mapping[str, Flow | type[Flow]]
) -> NoSuchEvent | None:
    """The error, if no flow that runs has the event; None if one has it.

    Args:
        flow: The name of the flow that is meant.
        event: The name of its event, or a signal of its events'.
        asker: What names it.
        running: The flows of the bot by their names.
    """
    events = _names(running[flow]) if flow in running else ()
    if event in events:
        return None
    return NoSuchEvent(
        asker=asker, flow=flow, event=event, running=tuple(running), events=tuple(events)
    )


def _names(flow: Flow | type[Flow]) -> dict[str, None]:
    """The names by which the flow's events are triggered, each once, in the order of its body."""
    named = [name for event in flow.events.values() for name in (event.name, event.signal)]
    return dict.fromkeys(name for name in (*named, RESET) if name is not None)
