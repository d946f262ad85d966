"""A walk through the bot as a user sees it, played at a real homeserver and written down.

``python -m tests.support.walkthrough`` plays it and writes ``docs/walkthrough.md``.
"""

import asyncio
import re
import tempfile
from collections.abc import Awaitable, Callable
from inspect import getdoc
from pathlib import Path

from fsm.values.ids import EventId, RoomId
from strandline.testing import Person, Synapse
from strandline.testing.person import fold
from tests.support.limits import HANGS_SECONDS
from tests.support.setup import Bot, Home, Setup

PAGE = Path(__file__).parent.parent.parent / "docs" / "walkthrough.md"

HEAD = """# A walk through the bot

What Alice writes and what the bot answers, read back from a real homeserver: `make walkthrough`
plays it and writes this page, and a test plays it again. Links, times and numbers of accounts are
shortened. An emoji in brackets is a reaction to the message above it; *edited* marks a message that
was edited since it was sent.
"""

_SHORTENED = (
    (re.compile(r"\(https://matrix\.to/\S+?\)"), "(https://matrix.to/#/…)"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"), "2026-01-02 03:04:05 UTC"),
    (re.compile(r"\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d UTC"), "02.01.2026 03:04:05 UTC"),
    (re.compile(r"@?\b(alice|bot)\d+(:strandline\.test)?"), r"\1"),
)


class Walk:
    """Plays sections one after another, and writes each down."""

    def __init__(self, setup: Setup, bot: Bot, alice: Person) -> None:
        self.setup = setup
        self.bot = bot
        self.alice = alice
        self.home: Home
        self._written: set[EventId] = set()
        self._lines: list[str] = [HEAD]

    async def section(self, title: str, part: Callable[["Walk"], Awaitable[list[RoomId]]]) -> None:
        """Play a part, and write down what is new in the rooms that it returns."""
        rooms = await part(self)
        self._lines += [f"## {title}", "", getdoc(part) or "", ""]
        for room in rooms:
            self._lines += [f"In {await self._name(room)}:", ""]
            self._lines += ["```", *await self._transcript(room), "```", ""]

    @property
    def page(self) -> str:
        return "\n".join(self._lines)

    async def _name(self, room: RoomId) -> str:
        if room == self.home.lobby:
            return "the room of the invite"
        return f"“{(await self.alice.state(room, 'm.room.name'))['name']}”"

    async def _transcript(self, room: RoomId) -> list[str]:
        """What is new in the room since it was last written down."""
        raw = await self.alice.raw_timeline(room)
        lines: list[str] = []
        for event in fold(raw):
            reactions = await self.alice.reactions(room, event.event_id)
            if event.event_id in self._written:
                continue
            self._written.add(event.event_id)
            who = "alice" if event.sender == self.alice.user_id else "bot"
            edited = " *edited*" if event.edits else ""
            first, *rest = _shorten(event.body + edited).split("\n")
            lines += [f"{who:>6}  {first}", *(f"        {line}".rstrip() for line in rest)]
            lines += [f"        [{key}]" for _, key in reactions]
        return lines


def _shorten(text: str) -> str:
    for pattern, short in _SHORTENED:
        text = pattern.sub(short, text)
    return text


async def meet(walk: Walk) -> list[RoomId]:
    """Alice invites the bot to a room. It makes a Space for her with a first chat in it, and
    invites her to both. **Durable:** the Space, the chat, her agent, and which agent and
    platform chat each room is bound to.
    """
    walk.home = await walk.setup.welcome(walk.alice, walk.bot)
    await walk.alice.sees(walk.home.lobby, "is ready")
    await walk.alice.asks(walk.home.chat, "Good morning!", "No agent is selected")
    await walk.alice.asks(walk.home.chat, "!agent 1", r"chat \d+\] Good morning")
    return [walk.home.lobby, walk.home.chat]


async def more_chats(walk: Walk) -> list[RoomId]:
    """Each chat is a room with an agent and a platform chat of its own. **Durable.**"""
    alice, chat = walk.alice, walk.home.chat
    await alice.asks(chat, "!agent 2", "You selected")
    await alice.say(chat, "!new Tides")
    await alice.sees(chat, "“Tides” is ready")
    tides = await walk.setup.enter_chat(alice)
    await alice.asks(tides, "When is high water?", r"agent-2 · chat \d+\]")
    await alice.asks(chat, "!chats", "Your chats")
    return [chat, tides]


async def files(walk: Walk) -> list[RoomId]:
    """A file waits for the message that explains it. **Ephemeral:** a restart forgets which files
    wait; they are still in the room.
    """
    alice, chat = walk.alice, walk.home.chat
    for name in ("chart.pdf", "beach.png"):
        kind = "application/pdf" if name.endswith("pdf") else "image/png"
        file = await alice.send_file(chat, name, b"x" * 12_000, mimetype=kind)
        async with asyncio.timeout(HANGS_SECONDS):
            while not await alice.reactions(chat, file):
                await asyncio.sleep(0.05)
    await alice.asks(chat, "!files", "wait for your next message")
    await alice.asks(chat, "!files drop 1", "waits for your next message")
    await alice.asks(chat, "Where was this taken?", r"1 file: beach\.png")
    return [chat]


async def choices(walk: Walk) -> list[RoomId]:
    """What can't be undone is asked about first: answered by command, by reaction or by reply. An
    archived chat comes back from a list. **Ephemeral:** the open question and the open list.
    **Durable:** what they led to.
    """
    alice, chat = walk.alice, walk.home.chat
    question = await alice.asks(chat, "!archive", "Archive “")
    await alice.react(chat, question.event_id, "✅")
    await alice.sees(chat, "is archived", after=question.event_id)
    await alice.asks(chat, "Are you there?", "This chat is archived")
    await alice.asks(chat, "!load", "Which chat")
    await alice.asks(chat, "1", "is restored")
    await alice.asks(chat, "Are you there now?", r"chat \d+\] Are you there now")
    return [chat]


async def restart(walk: Walk) -> list[RoomId]:
    """The bot is killed while its question is open, and started again. The question is forgotten,
    and says so to who answers it; the route is not.
    """
    alice, chat = walk.alice, walk.home.chat
    question = await alice.asks(chat, "!rebind 2", "It starts a new conversation")
    await walk.bot.restart()
    await alice.react(chat, question.event_id, "✅")
    await alice.sees(chat, "lost this question", after=question.event_id)
    async with asyncio.timeout(HANGS_SECONDS):
        while "expired" not in await _body_of(alice, chat, question.event_id):
            await asyncio.sleep(0.05)
    await alice.asks(chat, "And you?", r"agent-1 · chat \d+\] And you")
    return [chat]


async def language(walk: Walk) -> list[RoomId]:
    """**Durable:** each person's own choice."""
    alice, chat = walk.alice, walk.home.chat
    await alice.asks(chat, "!language ru", "по-русски")
    await alice.asks(chat, "!status", "перезапус|Перезапус")
    await alice.asks(chat, "!language en", "English")
    return [chat]


async def forget(walk: Walk) -> list[RoomId]:
    """Everything that the bot holds on Alice is deleted."""
    alice, lobby = walk.alice, walk.home.lobby
    await alice.asks(lobby, "!forget-me", "Delete")
    await alice.asks(lobby, "!yes", lambda e: "!yes" not in e.body)
    return [lobby]


async def _body_of(person: Person, room: RoomId, event_id: EventId) -> str:
    return next(e.body for e in await person.timeline(room) if e.event_id == event_id)


SECTIONS = {
    "Meeting": meet,
    "More chats": more_chats,
    "Files": files,
    "Choices": choices,
    "A kill in between": restart,
    "Languages": language,
    "Goodbye": forget,
}
"""What is played under each heading; the docstring introduces it."""


async def play(setup: Setup) -> str:
    """The page, after the whole walk."""
    bot = await setup.bot(agents=2, rooms={"onboarding": "space"})
    walk = Walk(setup, bot, await setup.person("alice"))
    for title, part in SECTIONS.items():
        await walk.section(title, part)
    return walk.page


async def write() -> None:
    """Play it and write the page."""
    with Synapse() as synapse, tempfile.TemporaryDirectory() as folder:
        async with Setup(synapse, Path(folder)) as setup:
            PAGE.write_text(await play(setup), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(write())
