"""Signals: which flow of a bot answers the signals that a turn triggers."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from fsm.errors import UnansweredSignal
from fsm.flow import Flow
from fsm.values.messages import Question, Reset, Triggered

F = TypeVar("F", Flow, type[Flow])


def receiver(signal: object, running: Mapping[str, F]) -> F | None:
    """Find the flow that answers the signal; None if no running flow does.

    Args:
        signal: The signal.
        running: The flows of the bot by their names.
    """
    if isinstance(signal, Reset):
        return running.get(signal.flow.name)
    return next((flow for flow in running.values() if type(signal) in flow.signals()), None)


def refuse_unanswered(triggered: Triggered, *, asker: str, running: Mapping[str, Flow]) -> None:
    """Refuse a signal that no flow answers, or a question with such a signal as an answer.

    Args:
        triggered: What a turn triggers.
        asker: The name of the flow that triggers it.
        running: The flows of the bot by their names.

    Raises:
        UnansweredSignal: No running flow answers it.
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
    """The error for a signal that no running flow answers.

    Args:
        signal: The signal's class; for a reset, the flow's.
        asker: What triggers it.
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
    """Yield all flow classes that this process has defined, running or not."""
    for each in flow.__subclasses__():
        yield each
        yield from _defined(each)
