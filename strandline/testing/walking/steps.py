"""Records what was observed of each step, and compares runs with and without a restart."""

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
    """One step that a walker tried.

    Args:
        edge: The planned step.
        before: The walk before this step.
        caused: The ids of the events that the walker sent.
        moves: The transitions of the conversation.
        is_comparable: The step began in its own source state, and nothing was lost before it. A
            restart must make no difference to it.
    """

    edge: Edge
    before: Walk
    caused: list[EventId]
    moves: list[LoggedTransition]
    is_comparable: bool

    @property
    def prompt_moves(self) -> list[LoggedTransition]:
        """The transitions of the turns that the walker caused, and the planned one.

        The flow's further transitions, in turns of their own, have no fixed time.
        """
        meant = [move.event_id for move in self.moves if is_meant(move, self.edge)]
        turns = {*self.caused, *meant[:1]}
        return [move for move in self.moves if move.event_id in turns]


def is_meant(move: LoggedTransition, edge: Edge) -> bool:
    """Whether the transition is the planned step."""
    return (move.by, move.source, move.target) == (edge.event, edge.source, edge.target)


@frozen
class Seen:
    """The observable result of one step, without names and numbers."""

    moves: tuple[str, ...]
    answers: tuple[str, ...]

    def __str__(self) -> str:
        moved = ", ".join(self.moves) or "no step of the flow's"
        said = " / ".join(self.answers) or "nothing"
        return f"{moved}; the bot said: {said}"


@define
class Comparison:
    """Collects results: the same walk must give the same ones with or without a restart."""

    _plain: dict[tuple[Edge, ...], Seen] = field(factory=dict)
    _restarted: list[tuple[tuple[Edge, ...], Seen, Walker, Walk]] = field(factory=list)

    def add(self, walker: Walker, step: Step, timeline: Iterable[Mapping[str, Any]]) -> None:
        """Record a step and the room's timeline after it."""
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
        """The walkers for whom a restart made a forbidden difference, with its description."""
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
    """The bot's texts in reply to the walker: the first text of a question, else the newest."""
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
            # an asked question is edited once it is answered: two walks differ in that
            said[f"asked {event['event_id']}" if QUESTION_KEY in content else event["event_id"]] = (
                text
            )
    return tuple(_plain(walker, text) for text in said.values())


def _plain(walker: Walker, text: str) -> str:
    """The text without what differs from room to room."""
    names = (walker.person.user_id, walker.person.localpart, walker.room or "\0")
    for name in names:
        text = text.replace(name, "…")
    return re.sub(r"\d+", "#", text)


def forgets(walker: Walker, flows: Mapping[str, type[Flow]]) -> bool:
    """Whether a restart makes one of the walker's conversations lose its state."""
    names = [walker.person.user_id, *([walker.room] if walker.room else [])]
    for (name, key), moves in walker.transitions.moves.items():
        if moves and any(part in names for part in key.split("|")):
            flow = flows.get(name)
            state = flow.states.get(moves[-1].target) if flow else None
            if state is None or not (state.initial or state.is_durable):
                return True
    return False
