"""Signals: which flow of a bot answers the signals that a turn triggers."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from fsm.errors import UnansweredSignal
from fsm.flow import Flow
from fsm.values.messages import Question, Reset, Triggered

F = TypeVar("F", Flow, type[Flow])


def receiver(signal: object, running: Mapping[str, F]) -> F | None:
    """Find the flow of the bot that answers a signal.

    Args:
        signal: The signal. A ``Reset`` is answered by the flow that it names.
        running: The flows of the bot by their names.

    Returns:
        The flow; None if no flow of the bot answers the signal.
    """
    if isinstance(signal, Reset):
        return running.get(signal.flow.name)
    return next((flow for flow in running.values() if type(signal) in flow.signals()), None)


def refuse_unanswered(triggered: Triggered, *, asker: str, running: Mapping[str, Flow]) -> None:
    """Raise an error if a turn triggers a signal that no flow of the bot answers.

    For a ``Question``, the signals that its answers would trigger are checked too.

    Args:
        triggered: The signal that the turn triggers.
        asker: The name of the flow that triggers the signal.
        running: The flows of the bot by their names.

    Raises:
        UnansweredSignal: No flow of the bot answers one of the signals.
    """
    asked = triggered.signal
    answers = (asked.then, asked.otherwise) if isinstance(asked, Question) else ()
    for each in (triggered, *answers):
        if each is not None and receiver(each.signal, running) is None:
            named = each.signal.flow if isinstance(each.signal, Reset) else type(each.signal)
            raise unanswered(named, asker=asker, running=running)


def unanswered(
    signal: type, *, asker: str, running: Mapping[str, Flow | type[Flow]]
) -> UnansweredSignal:
    """Return the error for a signal that no flow of the bot answers.

    Args:
        signal: The class of the signal; for a ``Reset``, the class of the flow to be reset.
        asker: Who triggers the signal: the name of a flow, or ``FlowClass.method``.
        running: The flows of the bot by their names.
    """
    return UnansweredSignal(
        asker=asker,
        signal=signal.__name__,
        running=tuple(running),
        elsewhere=tuple(flow.__name__ for flow in _defined(Flow) if _answers(flow, signal)),
    )


def _answers(flow: type[Flow], signal: type) -> bool:
    return flow is signal or signal in flow.signals()


def _defined(flow: type[Flow]) -> Iterator[type[Flow]]:
    """Yield all defined subclasses of ``flow``, whether the bot runs them or not."""
    for each in flow.__subclasses__():
        yield each
        yield from _defined(each)
