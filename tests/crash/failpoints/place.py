"""Where one cell of the table happens: a person, a room of their own, and what was said there."""

import asyncio
import json
import re

from attrs import define, field

from fsm.values.ids import EventId, RoomId
from strandline.testing import Person
from strandline.testing.person import TimelineEvent
from tests.support.setup import Bot, Setup

GREETING = "Hello!"
NOWHERE = RoomId("")


@define(eq=False)
class Said:
    """Something that was said, and the answers to it that are right, one set of them in order."""

    event_id: EventId
    body: str
    answers: tuple[str, ...]
    other: tuple[str, ...] | None = None

    def is_to_get(self, *answers: str) -> None:
        """It is known by now which answers are right."""
        self.answers, self.other = answers, None

    def accepts(self, bodies: list[str]) -> bool:
        return any(
            len(bodies) == len(wanted) and all(map(_matches, wanted, bodies))
            for wanted in (self.answers, self.other)
            if wanted is not None
        )


@define(eq=False)
class Place:
    """One person's room with the bot.

    Args:
        greetings: How many messages of the bot's are to answer no message: one for each invite.
    """

    setup: Setup
    bot: Bot
    person: Person
    room: RoomId = NOWHERE
    greetings: int = 1
    said: list[Said] = field(factory=list)

    async def say(self, text: str, *answers: str, other: tuple[str, ...] | None = None) -> Said:
        """Say it; ``answers`` are what is to come, ``other`` what may come instead."""
        said = Said(await self.person.say(self.room, text), text, answers, other)
        self.said.append(said)
        return said

    async def ask(self, text: str, *answers: str, other: tuple[str, ...] | None = None) -> None:
        await self.answered(await self.say(text, *answers, other=other))

    async def answered(self, *said: Said) -> None:
        """Wait until these have all their answers, whatever comes besides."""
        wanted = said or tuple(self.said)
        until = asyncio.get_running_loop().time() + 40 + len(wanted) / 4
        async for events in self.person.timelines(self.room):
            missing = [s.body for s in wanted if not self._has(s, events)]
            if not missing:
                return
            told = f"not rightly answered: {missing}\n{transcript(events)}"
            assert asyncio.get_running_loop().time() < until, told

    async def greeted(self) -> None:
        await self.person.sees(self.room, GREETING)

    async def events(self) -> list[TimelineEvent]:
        return await self.person.timeline(self.room)

    def has_committed(self, said: Said) -> bool:
        """Whether the turn of what was said is on the bot's disk."""
        statement = "SELECT 1 FROM handled WHERE event_id = ?"
        return bool(self.bot.store.rows(statement, said.event_id))

    def _has(self, said: Said, events: list[TimelineEvent]) -> bool:
        return said.accepts([e.body for e in events if e.in_reply_to == said.event_id])

    async def verdict(self) -> None:
        """Each question in order with its answers, each once, and nothing else."""
        events = await self.events()
        told = transcript(events)
        mine = [e.event_id for e in events if e.sender == self.person.user_id]
        assert mine == [s.event_id for s in self.said], told
        replies = [e for e in events if e.sender == self.bot.user_id and e.in_reply_to]
        for said in self.said:
            bodies = [e.body for e in replies if e.in_reply_to == said.event_id]
            assert said.accepts(bodies), f"{said.body!r} got {bodies}:\n{told}"
        firsts = list(dict.fromkeys(e.in_reply_to for e in replies))
        assert firsts == [s.event_id for s in self.said if s.event_id in firsts], told
        greetings = [e for e in events if e.sender == self.bot.user_id and not e.in_reply_to]
        assert len(greetings) == self.greetings, told
        self._routes(events)

    def _routes(self, events: list[TimelineEvent]) -> None:
        rooms = {
            key.removeprefix("matrix_room:"): json.loads(value)
            for key, value in self.bot.store.rows(
                "SELECT key, value FROM kv WHERE key GLOB 'matrix_r*'"
            )
        }
        issued = [r["platform_chat_id"] for r in rooms.values() if r["platform_chat_id"]]
        assert len(issued) == len(set(issued)), issued
        marks = (re.match(r"\[(\S+) · chat (\d+)\]", e.body) for e in events)
        answered_as = {m.groups() for m in marks if m}
        if answered_as:
            record = rooms[self.room]
            assert answered_as == {(record["agent_id"], record["platform_chat_id"])}
        assert self.bot.store.rows("SELECT * FROM outbox WHERE parked_error IS NULL") == []
        assert self.bot.store.rows("SELECT * FROM stream") == []
        assert self.bot.store.rows("SELECT * FROM reopened") == []


def transcript(events: list[TimelineEvent]) -> str:
    return "\n".join(f"{e.sender[:8]} {e.body}" for e in events)


def _matches(pattern: str, body: str) -> bool:
    return re.search(pattern, body, re.DOTALL) is not None
