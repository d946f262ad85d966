"""Counting, in what the homeserver has, what became of each message. No I/O."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from attrs import field, frozen

Json = dict[str, Any]

ECHO = re.compile(r"^\[(?P<agent>[\w-]+) · chat (?P<number>\d+)\] (?P<text>.*)$", re.DOTALL)


@frozen(kw_only=True)
class Message:
    """An event of a room that says something.

    Args:
        body: Its newest text; None where it can't be read.
    """

    event_id: str
    sender: str
    body: str | None
    at_ms: int
    answers: str | None = None


@frozen(kw_only=True)
class Room:
    """A room as its members see it, oldest first."""

    room_id: str
    bot: str
    messages: tuple[Message, ...]

    @property
    def questions(self) -> list[Message]:
        return [m for m in self.messages if m.sender != self.bot]

    @property
    def answers(self) -> list[Message]:
        return [m for m in self.messages if m.sender == self.bot and m.answers is not None]

    @property
    def unanswered(self) -> list[Message]:
        answered = {a.answers for a in self.answers}
        return [q for q in self.questions if q.event_id not in answered]

    @property
    def unfinished(self) -> list[Message]:
        """Questions whose answer is not, or not yet, what an echo of it is in the end."""
        asked = {q.event_id: q for q in self.questions}
        return [
            asked[a.answers]
            for a in self.answers
            if a.answers in asked and not _is_whole(asked[a.answers], a)
        ]

    def transcript(self, around: Message | None = None, lines: int = 8) -> str:
        shown = self.messages
        if around is not None:
            at = [m.event_id for m in shown].index(around.event_id)
            near = range(max(0, at - lines), at + lines)
            shown = tuple(
                m for n, m in enumerate(shown) if n in near or m.answers == around.event_id
            )
        return "\n".join(
            f"  {m.at_ms} {m.sender.split(':')[0]:>10} {m.event_id[:10]}"
            f"{' ↩ ' + m.answers[:10] if m.answers else '':14} {m.body!r:.100}"
            for m in shown
        )


@frozen(kw_only=True)
class Fault:
    """One thing that must not be, and the message that shows it."""

    kind: str
    room: Room
    message: Message
    what: str


@frozen(kw_only=True)
class Verdict:
    messages: int
    faults: tuple[Fault, ...] = field(repr=False)

    def count(self, kind: str) -> int:
        return sum(fault.kind == kind for fault in self.faults)

    @property
    def spotless(self) -> bool:
        return not self.faults


def fold(room_id: str, bot: str, raw: Iterable[Json]) -> Room:
    """A room from its raw events: edits become the newest text of what they edit."""
    messages: dict[str, Message] = {}
    for event in raw:
        content = event.get("content") or {}
        if event.get("type") not in ("m.room.message", "m.room.encrypted") or not content:
            continue
        relation = content.get("m.relates_to") or {}
        body = content.get("body")
        edited = messages.get(relation.get("event_id", ""))
        if relation.get("rel_type") == "m.replace":
            if edited is not None:
                body = (content.get("m.new_content") or {}).get("body")
                messages[edited.event_id] = Message(
                    event_id=edited.event_id,
                    sender=edited.sender,
                    body=body,
                    at_ms=edited.at_ms,
                    answers=edited.answers,
                )
            continue
        messages[event["event_id"]] = Message(
            event_id=event["event_id"],
            sender=event["sender"],
            body=body,
            at_ms=event["origin_server_ts"],
            answers=(relation.get("m.in_reply_to") or {}).get("event_id"),
        )
    return Room(room_id=room_id, bot=bot, messages=tuple(messages.values()))


def judge(rooms: Iterable[Room], bound: Mapping[str, str]) -> Verdict:
    """Every fault in these rooms.

    Args:
        rooms: All rooms, complete and decrypted.
        bound: Room → ``platform_chat_id``, as the bot's database has it.
    """
    rooms = list(rooms)
    faults = [fault for room in rooms for fault in _faults(room)]
    return Verdict(
        messages=sum(len(room.questions) for room in rooms),
        faults=(*faults, *_reused(rooms, bound)),
    )


def _faults(room: Room) -> Iterator[Fault]:
    for question in room.unanswered:
        yield Fault(kind="lost", room=room, message=question, what="no answer")
    for question in room.unfinished:
        yield Fault(kind="lost", room=room, message=question, what="its answer has no end")
    counted = Counter(a.answers for a in room.answers)
    for question in room.questions:
        if counted[question.event_id] > 1:
            what = f"{counted[question.event_id]} answers"
            yield Fault(kind="doubled", room=room, message=question, what=what)
    yield from _out_of_order(room)


def _out_of_order(room: Room) -> Iterator[Fault]:
    """Answers whose question is older than the one that was answered just before."""
    asked = {q.event_id: number for number, q in enumerate(room.questions)}
    answers = [(a.answers or "", a) for a in room.answers if a.answers in asked]
    firsts = dict(reversed(answers))
    ordered = [a for question, a in answers if firsts[question] is a]
    for before, after in pairwise(ordered):
        if asked[after.answers or ""] < asked[before.answers or ""]:
            yield Fault(kind="out_of_order", room=room, message=after, what="its question is older")


def _is_whole(question: Message, answer: Message) -> bool:
    if answer.body is None:
        return False
    echo = ECHO.match(answer.body)
    return not answer.body.startswith("[") or (echo is not None and echo["text"] == question.body)


def _reused(rooms: list[Room], bound: Mapping[str, str]) -> Iterator[Fault]:
    first: dict[int, tuple[Room, Message, Message]] = {}
    for room in rooms:
        numbers: dict[int, Message] = {}
        asked = {q.event_id: q for q in room.questions}
        for answer in room.answers:
            echo = ECHO.match(answer.body or "")
            if echo is not None and answer.answers in asked:
                numbers.setdefault(int(echo["number"]), answer)
        for number, answer in numbers.items():
            if number in first:
                what = f"chat {number} is also {first[number][0].room_id}'s"
                yield Fault(kind="reused", room=room, message=answer, what=what)
            elif len(numbers) > 1 or bound.get(room.room_id) not in (None, str(number)):
                what = f"chats {list(numbers)} in one room, {bound.get(room.room_id)} on disk"
                yield Fault(kind="reused", room=room, message=answer, what=what)
            first.setdefault(number, (room, asked[answer.answers or ""], answer))
    twice = [number for number, rooms_of in Counter(bound.values()).items() if rooms_of > 1]
    for room in rooms:
        if bound.get(room.room_id) in twice and room.messages:
            what = f"chat {bound[room.room_id]} is bound to more than one room on disk"
            yield Fault(kind="reused", room=room, message=room.messages[-1], what=what)
    yield from _fallen(first)


def _fallen(first: Mapping[int, tuple[Room, Message, Message]]) -> Iterator[Fault]:
    """Numbers that are lower than one that was on show before their room's first question."""
    shown = sorted((answer.at_ms, number) for number, (_, _, answer) in first.items())
    for number, (room, question, answer) in first.items():
        above = next((n for at, n in shown if at < question.at_ms and n > number), None)
        if above is not None:
            what = f"chat {number} was issued after chat {above} was on show"
            yield Fault(kind="reused", room=room, message=answer, what=what)
