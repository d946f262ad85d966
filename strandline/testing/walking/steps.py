"""Records the result of each step, and compares steps with and without an earlier restart."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define, field, frozen

from fsm import Flow
from fsm.paths import By, Edge, Walk
from fsm.values.ids import EventId
from strandline.testing.walking.transition_log import LoggedTransition
from strandline.testing.walking.walker import QUESTION_KEY, Walker


@define
class Step:
    """One step that a walker tried, with what followed.

    Args:
        edge: The planned step.
        before: The walk up to this step.
        caused: The ids of the events that the walker sent to cause the step.
        moves: The transitions of the walker's conversation that followed.
        is_comparable: Whether the step began in the planned state, and no restart had lost any
            state before. If so, earlier restarts must not change the result of the step.
    """

    edge: Edge
    before: Walk
    caused: list[EventId]
    moves: list[LoggedTransition]
    is_comparable: bool

    @property
    def prompt_moves(self) -> list[LoggedTransition]:
        """The transitions in the turns of the walker's own events and of the planned transition.

        Transitions in other turns are left out, because they may happen at any time.
        """
        meant = [move.event_id for move in self.moves if is_meant(move, self.edge)]
        turns = {*self.caused, *meant[:1]}
        return [move for move in self.moves if move.event_id in turns]


def is_meant(move: LoggedTransition, edge: Edge) -> bool:
    """Whether the transition is the planned step: the same event, source and target."""
    return (move.by, move.source, move.target) == (edge.event, edge.source, edge.target)


@frozen
class Seen:
    """The observable result of one step, in a form that can be compared between walkers.

    Args:
        moves: The transitions, as texts.
        answers: The bot's texts, without names and numbers that differ between walkers.
    """

    moves: tuple[str, ...]
    answers: tuple[str, ...]

    def __str__(self) -> str:
        moved = ", ".join(self.moves) or "no step of the flow's"
        said = " / ".join(self.answers) or "nothing"
        return f"{moved}; the bot said: {said}"


@define
class Comparison:
    """Collects the results of steps, and finds those that an earlier restart has changed.

    Two walks that differ only in their restarts must give the same results.
    """

    _plain: dict[tuple[Edge, ...], Seen] = field(factory=dict)
    _restarted: list[tuple[tuple[Edge, ...], Seen, Walker, Walk]] = field(factory=list)

    def add(self, walker: Walker, step: Step, timeline: Iterable[Mapping[str, Any]]) -> None:
        """Record the result of a step, if the step is comparable.

        Args:
            walker: The walker who took the step.
            step: The step.
            timeline: All events of the walker's room, oldest first.
        """
        walk = step.before.then(step.edge)
        steps = tuple(edge for edge in walk.edges if edge.by is not By.RESTART)
        seen = Seen(tuple(map(str, step.prompt_moves)), _answers(walker, step, timeline))
        if not step.is_comparable:
            return
        if len(steps) == len(walk.edges):
            self._plain.setdefault(steps, seen)
        else:
            self._restarted.append((steps, seen, walker, walk))

    def differences(self) -> Iterable[tuple[Walker, str]]:
        """Yield each walker for whom a restart changed a result, with a text on the difference."""
        for steps, seen, walker, walk in self._restarted:
            plain = self._plain.get(steps)
            if plain is not None and plain != seen:
                what = (
                    "a restart in a durable state changes what comes after it\n"
                    f"  path:            {walk}\n"
                    f"  with no restart: {plain}\n"
                    f"  restarted:       {seen}"
                )
                yield walker, what


def _answers(walker: Walker, step: Step, timeline: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The texts of the bot's replies to the events that the walker sent for the step.

    For a question to the walker, it is the text before any edit; otherwise the newest text.
    """
    said: dict[str, str] = {}
    for event in timeline:
        content = event.get("content", {})
        relation = content.get("m.relates_to", {})
        if event.get("sender") != walker.bot or event.get("type") != "m.room.message":
            continue
        edited = relation.get("event_id", "")
        if relation.get("rel_type") == "m.replace" and edited in said:
            said[edited] = str(content.get("m.new_content", {}).get("body", ""))
        elif relation.get("m.in_reply_to", {}).get("event_id") in step.caused:
            text = str(content.get("body", ""))
            # the bot edits a question that is answered: only one of the two walks may answer it
            said[f"asked {event['event_id']}" if QUESTION_KEY in content else event["event_id"]] = (
                text
            )
    return tuple(_plain(walker, text) for text in said.values())


def _plain(walker: Walker, text: str) -> str:
    """Return the text with placeholders for the walker's names, the room and all numbers."""
    names = (walker.person.user_id, walker.person.localpart, walker.room or "\0")
    for name in names:
        text = text.replace(name, "…")
    return re.sub(r"\d+", "#", text)


def forgets(walker: Walker, flows: Mapping[str, type[Flow]]) -> bool:
    """Whether a restart now would lose the state of a conversation of the walker or their room.

    Args:
        walker: The walker.
        flows: The known flows by name. The state of an unknown flow counts as lost.
    """
    names = [walker.person.user_id, *([walker.room] if walker.room else [])]
    for (name, key), moves in walker.transitions.moves.items():
        if moves and any(part in names for part in key.split("|")):
            flow = flows.get(name)
            state = flow.states.get(moves[-1].target) if flow else None
            if state is None or not (state.initial or state.is_durable):
                return True
    return False
