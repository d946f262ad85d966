"""The scripted demo. Each step is checked by the messages that the homeserver has stored."""

import re
from contextlib import suppress

from fsm.values.ids import EventId
from strandline.demo.setup import DemoSetup, Tell
from strandline.testing.errors import NotSeen
from strandline.testing.person import TimelineEvent

ANSWER_SECONDS = 30.0
"""How long to wait for an answer to begin, even on a busy machine."""

GROW_SECONDS = 3.0
"""How long to wait, after an answer has begun, until the expected text is there."""


class NotAsExpected(Exception):
    """A step of the script had an unexpected result."""


class DemoScript:
    """The script: greet, choose an agent, chat, ask, kill the bot, answer too late, chat again.

    Args:
        setup: The parts of the demo.
        tell: Called with each line of progress.
    """

    def __init__(self, setup: DemoSetup, tell: Tell) -> None:
        self._stage = setup
        self._tell = tell
        self._asked = 0

    async def play(self) -> None:
        """Run all steps.

        Raises:
            NotAsExpected: A step had an unexpected result.
        """
        await self._hears("the bot joins and greets", r"^Hello! .*`!agent NUMBER`")
        await self._step("choosing an agent", "!agent 1", r"^You selected \*\*Agent One\*\*")
        await self._step("talking to it", "hello", r"^\[agent-1 · chat 1\] hello$")
        await self._step("a question is staged", "!archive", r"^Archive “Chat 1”\?.*`!yes`")
        await self._stage.kill_bot(self._tell)
        await self._step("the stale answer", "!yes", r"^I have no open question.*restart")
        await self._step("talking again", "still there?", r"^\[agent-1 · chat 1\] still there\?$")
        await self._step("the route is the same", "!status", r"This room: .*`agent-1`.*chat 1")
        await self._each_answered_once()

    async def show_transcript(self) -> None:
        """Print the room's messages."""
        self._tell("the room, read back from the homeserver:")
        events = await self._stage.person.timeline(self._stage.room_id)
        for event in events:
            who = "you" if event.sender == self._stage.person.user_id else "bot"
            first, *rest = event.body.splitlines() or [""]
            self._tell(f"    {who:>4} │ {first}")
            for line in rest:
                self._tell(f"         │ {line}")

    async def _step(self, what: str, text: str, expected: str) -> None:
        person, room = self._stage.person, self._stage.room_id
        self._asked += 1
        asked = await person.say(room, text)
        await self._hears(f"{what}: {text}", expected, to=asked)

    async def _hears(self, what: str, expected: str, *, to: EventId | None = None) -> None:
        pattern = re.compile(expected, re.DOTALL)

        def is_answer(event: TimelineEvent) -> bool:
            return to is None or event.in_reply_to == to

        person, room = self._stage.person, self._stage.room_id
        seen = f"nothing within {ANSWER_SECONDS:g} s"
        with suppress(NotSeen):
            seen = (await person.sees(room, is_answer, timeout_seconds=ANSWER_SECONDS)).body
            answer = await person.sees(
                room,
                lambda event: is_answer(event) and pattern.search(event.body) is not None,
                timeout_seconds=GROW_SECONDS,
            )
            seen = answer.body
        self._check(what, expected, seen, is_so=pattern.search(seen) is not None)

    async def _each_answered_once(self) -> None:
        person = self._stage.person
        events = await person.timeline(self._stage.room_id)
        asked = [e.event_id for e in events if e.sender == person.user_id]
        said = [e.in_reply_to for e in events if e.sender != person.user_id]
        self._check(
            f"each of {self._asked} messages was answered once, in order, after one greeting",
            f"a greeting, then answers to {asked}",
            f"answers to {said}",
            is_so=said == [None, *asked],
        )

    def _check(self, what: str, expected: str, seen: str, *, is_so: bool) -> None:
        self._tell(f"  {'✓' if is_so else '✗'} {what}")
        if not is_so:
            self._tell(f"      expected: {expected}")
            self._tell(f"      seen:     {seen}")
            raise NotAsExpected
