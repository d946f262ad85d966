"""The scripted tour: every step is checked in what the homeserver has."""

import re
from collections.abc import Callable

from strandline.demo.stage import Stage

Tell = Callable[[str], None]


class NotAsExpected(Exception):
    """A step of the tour went otherwise."""


class Tour:
    """Meet, choose, talk, ask, kill, answer too late, talk again."""

    def __init__(self, stage: Stage, tell: Tell) -> None:
        self._stage = stage
        self._tell = tell
        self._asked = 0

    async def play(self) -> None:
        """Play it to its end.

        Raises:
            NotAsExpected: The first step that is not as expected.
        """
        await self._hears("the bot joins and greets", r"^Hello! .*`!agent NUMBER`")
        await self._step("choosing an agent", "!agent 1", r"^You selected \*\*Agent One\*\*")
        await self._step("talking to it", "hello", r"^\[agent-1 · chat 1\] hello$")
        await self._step("a question is staged", "!archive", r"^Archive “Chat 1”\?.*`!yes`")
        await self._stage.kill_bot(self._tell)
        await self._step("the stale answer", "!yes", r"^No question of mine is waiting.*restart")
        await self._step("talking again", "still there?", r"^\[agent-1 · chat 1\] still there\?$")
        await self._step("the route is the same", "!status", r"This room: .*`agent-1`.*chat 1")
        await self._each_answered_once()

    async def show_transcript(self) -> None:
        """Print the room as the homeserver has it."""
        self._tell("the room, read back from the homeserver:")
        events = await self._stage.person.timeline(self._stage.room_id)
        for event in events:
            who = "you" if event.sender == self._stage.person.user_id else "bot"
            first, *rest = event.body.splitlines() or [""]
            self._tell(f"    {who:>4} │ {first}")
            for line in rest:
                self._tell(f"         │ {line}")

    async def _step(self, what: str, text: str, expected: str) -> None:
        self._asked += 1
        asked = await self._stage.person.say(self._stage.room_id, text)
        await self._wait(f"{what}: {text}", expected, after=asked)

    async def _hears(self, what: str, expected: str) -> None:
        await self._wait(what, expected, after=None)

    async def _wait(self, what: str, expected: str, *, after: str | None) -> None:
        person, room = self._stage.person, self._stage.room_id
        event = await person.sees(
            room,
            lambda e: after is None or e.in_reply_to == after,
            timeout_seconds=30,
        )
        if not re.search(expected, event.body, re.DOTALL):
            self._tell(f"  ✗ {what}")
            problem = f"{what}\n  expected: {expected}\n  seen:     {event.body}"
            raise NotAsExpected(problem)
        self._tell(f"  ✓ {what}")

    async def _each_answered_once(self) -> None:
        person = self._stage.person
        events = await person.timeline(self._stage.room_id)
        asked = [e.event_id for e in events if e.sender == person.user_id]
        answered = [e.in_reply_to for e in events if e.in_reply_to is not None]
        if answered != asked:
            problem = f"each message answered once and in order\n  {asked}\n  {answered}"
            raise NotAsExpected(problem)
        self._tell(f"  ✓ each of {self._asked} messages was answered once, in order")
