"""Checks for two flows of one bot that claim the same name, command or signal."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from fsm.checks.findings import Finding
from fsm.events import ANY, Event
from fsm.flow import Flow
from fsm.values.text import compared


def collisions(flows: Sequence[type[Flow]]) -> Iterator[tuple[type[Flow], Finding]]:
    """Find each flow that has the name of an earlier flow, or answers a command or signal of one.

    A command that a flow answers only in ephemeral states is not reported: while a conversation of
    that flow is in such a state, that flow gets the command, and otherwise the other flow does.

    Args:
        flows: The flows of the bot, in the order in which they are offered an event.

    Yields:
        The later of two flows, and the finding about it.
    """
    for first, second in combinations(flows, 2):
        if first.name == second.name:
            yield (
                second,
                Finding(
                    code="SL301",
                    flow=second.__name__,
                    where="name",
                    problem=f"it is called {second.name!r}, as {_path(first)} is",
                    remedy='give it another name: name = "…" in the class body',
                ),
            )
        for command in sorted(_resting(first) & _resting(second)):
            event = next(e for e in second.events.values() if command in map(compared, e.command))
            yield (
                second,
                Finding(
                    code="SL302",
                    flow=second.__name__,
                    where=event.name,
                    problem=f"the command {command!r} is {_path(first)}'s too",
                    remedy="give one of the two another command",
                ),
            )
        for event in second.events.values():
            if event.signal is not None and event.signal in first.signals():
                yield second, _shared(first, second, event, event.signal)


def _shared(first: type[Flow], second: type[Flow], event: Event, signal: type) -> Finding:
    """Return the finding for a signal that two flows answer, because only one can receive it."""
    return Finding(
        code="SL305",
        flow=second.__name__,
        where=event.name,
        problem=f"{_path(first)} answers {signal.__name__} too, and a signal goes to one flow",
        remedy="give each flow a class of its own, and trigger both",
    )


def _resting(flow: type[Flow]) -> set[str]:
    """The commands that the flow answers in its idle state or in a durable state."""
    return {
        compared(command)
        for event in flow.events.values()
        for command in event.command
        if command != ANY
        if any(state.initial or state.is_durable for state in event.sources)
    }


def _path(flow: type[Flow]) -> str:
    return f"{flow.__module__}:{flow.__qualname__}"
