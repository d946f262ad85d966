"""Counting, in what the homeserver has, what became of each message. No I/O."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from attrs import evolve, field, frozen

Json = dict[str, Any]

ECHO = re.compile(r"^\[(?P<agent>[\w-]+) · chat (?P<number>\d+)\] (?P<text>.*)$", re.DOTALL)


@frozen(kw_only=True)
class Message:
    """An event of a room that says something.

    Args:
        body: Its newest text; None where it can't be read.
        answers: The message that it answers.
        withdrawn: It was taken back.
    """

    event_id: str
    sender: str
    body: str | None
    at_ms: int
    answers: str | None = None
    withdrawn: bool = False


@frozen
class Amended:
    """What its sender did to a message.

    Args:
        texts: What it said, oldest first.
        ceased: So many of these texts it had ceased to say before the bot could take it up.
    """

    texts: tuple[str, ...]
    ceased: int = 0


@frozen(kw_only=True)
class Room:
    """A room as its members see it, oldest first.

    Args:
        name: What it is called.
        made_ms: When the bot made it, if it did.
        gone: Who has left it.
    """

    room_id: str
    bot: str
    messages: tuple[Message, ...]
    name: str = ""
    made_ms: int | None = None
    gone: frozenset[str] = frozenset()

    @property
    def asked(self) -> list[Message]:
        """What people said, taken back or not."""
        return [m for m in self.messages if m.sender != self.bot]

    @property
    def begun_ms(self) -> int:
        """When the room can have had its number at the earliest: made, or asked something in."""
        if self.made_ms is not None:
            return self.made_ms
        return min(m.at_ms for m in self.asked if not (m.body or "").startswith("!"))

    @property
    def questions(self) -> list[Message]:
        return [m for m in self.asked if not m.withdrawn]

    @property
    def answers(self) -> list[Message]:
        return [m for m in self.messages if m.sender == self.bot and m.answers is not None]

    @property
    def unanswered(self) -> list[Message]:
        """What should have an answer.

        Who has left a room need not be answered there, unless somebody was who asked later.
        """
        answered = {a.answers for a in self.answers}
        last = max((n for n, q in enumerate(self.questions) if q.event_id in answered), default=-1)
        return [
            q
            for n, q in enumerate(self.questions)
            if q.event_id not in answered and (n < last or q.sender not in self.gone)
        ]

    @property
    def pairs(self) -> list[tuple[Message, Message]]:
        """Every answer, behind what it answers."""
        asked = {q.event_id: q for q in self.asked}
        return [(asked[a.answers], a) for a in self.answers if a.answers in asked]

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
            f"{' ↩ ' + m.answers[:10] if m.answers else '':14} "
            f"{'(taken back) ' * m.withdrawn}{m.body!r:.100}"
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


def fold(
    room_id: str, bot: str, raw: Iterable[Json], *, gone: frozenset[str] = frozenset()
) -> Room:
    """A room from its raw events: edits become the newest text of what they edit."""
    messages: dict[str, Message] = {}
    made_ms: int | None = None
    name = ""
    for event in raw:
        content = event.get("content") or {}
        relation = content.get("m.relates_to") or {}
        about = relation.get("event_id", "")
        match event.get("type"), relation.get("rel_type"):
            case "m.room.create", _ if event["sender"] == bot:
                made_ms = event["origin_server_ts"]
            case "m.room.name", _:
                name = str(content.get("name", ""))
            case "m.room.message" | "m.room.encrypted", "m.replace":
                edited = messages.get(about)
                if edited is not None and edited.sender == event["sender"]:
                    body = (content.get("m.new_content") or {}).get("body")
                    messages[about] = evolve(edited, body=body)
            case "m.room.message" | "m.room.encrypted", _:
                answers = (relation.get("m.in_reply_to") or {}).get("event_id")
                messages[event["event_id"]] = _message(event, content.get("body"), answers)
            case "m.reaction", "m.annotation" if event["sender"] == bot:
                messages[event["event_id"]] = _message(event, relation.get("key"), about)
    return Room(
        room_id=room_id,
        bot=bot,
        messages=tuple(messages.values()),
        name=name,
        made_ms=made_ms,
        gone=gone,
    )


def _message(event: Json, body: str | None, answers: str | None) -> Message:
    return Message(
        event_id=event["event_id"],
        sender=event["sender"],
        body=body,
        at_ms=event["origin_server_ts"],
        answers=answers,
        withdrawn="redacted_because" in (event.get("unsigned") or {}),
    )


def judge(
    rooms: Iterable[Room],
    bound: Mapping[str, str],
    amended: Mapping[Any, Amended] | None = None,
) -> Verdict:
    """Every fault in these rooms.

    Args:
        rooms: All rooms, complete and decrypted.
        bound: Room → ``platform_chat_id``, as the bot's database has it.
        amended: What was done to messages.
    """
    rooms = list(rooms)
    faults = [fault for room in rooms for fault in _faults(room, amended or {})]
    return Verdict(
        messages=sum(len(room.questions) for room in rooms),
        faults=(*faults, *_chats(rooms), *_reused(rooms, bound)),
    )


def _faults(room: Room, amended: Mapping[Any, Amended]) -> Iterator[Fault]:
    for question in room.unanswered:
        yield Fault(kind="lost", room=room, message=question, what="no answer")
    for question, answer in room.pairs:
        done = amended.get(question.event_id) or Amended((question.body or "",))
        echo = ECHO.match(answer.body or "")
        if not _is_whole(done, answer):
            yield Fault(kind="lost", room=room, message=question, what="its answer has no end")
        elif echo is not None and echo["text"] in done.texts[: done.ceased]:
            what = f"{answer.event_id} answers what it said before: {answer.body!r}"
            yield Fault(kind="stale", room=room, message=question, what=what)
    counted = Counter(a.answers for a in room.answers)
    for question in room.asked:
        if counted[question.event_id] > 1:
            what = f"{counted[question.event_id]} answers"
            yield Fault(kind="doubled", room=room, message=question, what=what)
    yield from _out_of_order(room)


def _chats(rooms: list[Room]) -> Iterator[Fault]:
    """Chats that were asked for, and are not there once."""
    made = Counter(room.name for room in rooms if room.made_ms is not None)
    for room in rooms:
        for question in room.questions:
            command, _, name = (question.body or "").partition(" ")
            if command == "!new" and made[name] != 1:
                kind = "doubled" if made[name] else "lost"
                what = f"{made[name]} rooms of that name"
                yield Fault(kind=kind, room=room, message=question, what=what)


def _out_of_order(room: Room) -> Iterator[Fault]:
    """Answers whose question is older than the one that was answered just before."""
    asked = {q.event_id: number for number, q in enumerate(room.asked)}
    answers = [(a.answers or "", a) for a in room.answers if a.answers in asked]
    firsts = dict(reversed(answers))
    ordered = [a for question, a in answers if firsts[question] is a]
    for before, after in pairwise(ordered):
        if asked[after.answers or ""] < asked[before.answers or ""]:
            yield Fault(kind="out_of_order", room=room, message=after, what="its question is older")


def _is_whole(asked: Amended, answer: Message) -> bool:
    """Whether the answer is what an echo of the question is in the end, or no echo."""
    if answer.body is None:
        return False
    echo = ECHO.match(answer.body)
    return not answer.body.startswith("[") or (echo is not None and echo["text"] in asked.texts)


def _reused(rooms: list[Room], bound: Mapping[str, str]) -> Iterator[Fault]:
    first: dict[int, tuple[Room, Message]] = {}
    for room in rooms:
        numbers: dict[int, Message] = {}
        asked = {q.event_id: q for q in room.asked}
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
            first.setdefault(number, (room, answer))
    twice = [number for number, rooms_of in Counter(bound.values()).items() if rooms_of > 1]
    for room in rooms:
        if bound.get(room.room_id) in twice and room.messages:
            what = f"chat {bound[room.room_id]} is bound to more than one room on disk"
            yield Fault(kind="reused", room=room, message=room.messages[-1], what=what)
    yield from _fallen(first)


def _fallen(first: Mapping[int, tuple[Room, Message]]) -> Iterator[Fault]:
    """Numbers that are lower than one that was on show before their room could have one."""
    shown = sorted((answer.at_ms, number) for number, (_, answer) in first.items())
    for number, (room, answer) in first.items():
        above = next((n for at, n in shown if at < room.begun_ms and n > number), None)
        if above is not None:
            what = f"chat {number} was issued after chat {above} was on show"
            yield Fault(kind="reused", room=room, message=answer, what=what)
