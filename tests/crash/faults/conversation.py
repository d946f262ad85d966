"""Two people talk to a bot in memory, each in a room, and all that must hold after it."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from durable.store import SqliteStore
from fsm import StrandlineError
from fsm.values.ids import RoomId, UserId
from strandline.config.model import Config
from strandline.engine.bot import Bot
from tests.crash.faults.memory import (
    ALICE,
    BOB,
    MemoryHomeserver,
    as_homeserver,
    config_in,
    owed_in,
)
from tests.support.limits import HANGS_SECONDS

Connect = Callable[..., sqlite3.Connection]

FIRST, SECOND = RoomId("!first"), RoomId("!second")

TALK: dict[RoomId, tuple[UserId, tuple[str, ...]]] = {
    # a route, a question and its answer, an archived room, an answer to no question
    FIRST: (ALICE, ("!agent 1", "one", "!archive", "!yes", "!yes")),
    # a message that waits for the choice of an agent, and is handled again then
    SECOND: (BOB, ("hello", "!agent 2")),
}


class MemoryBot:
    """One bot's data and homeserver; it lives as often as a test wants."""

    def __init__(self, directory: Path, kind: type[Bot] = Bot) -> None:
        self.directory = directory
        self._kind = kind
        self._config = self._configure()
        self.database = self._config.storage.database
        self.homeserver = MemoryHomeserver(is_owed=owed_in(self.database))
        self._is_sent_again = False

    def _configure(self) -> Config:
        return config_in(self.directory)

    @asynccontextmanager
    async def living(self, connect: Connect = sqlite3.connect) -> AsyncIterator[asyncio.Task[None]]:
        """One life, in the order of ``strandline.engine.bot.serve``; goes on after a fault."""
        stop = asyncio.Event()
        life = asyncio.create_task(self._live(connect, stop))
        try:
            yield life
        finally:
            stop.set()
            with suppress(StrandlineError, ExceptionGroup):
                await life

    async def _live(self, connect: Connect, stop: asyncio.Event) -> None:
        now = lambda: datetime.now(UTC)  # noqa: E731
        store = await SqliteStore.open(self.database, now=now, connect=connect)
        try:
            bot = self._kind(self._config, store)
            await bot.log_restart_report()
            await store.mark_started()
            await bot.run(as_homeserver(self.homeserver), stop)
        finally:
            await store.close()

    async def begin(self) -> None:
        """Everybody says everything, and waits for nothing."""
        rooms = self.homeserver
        for room_id, (person, _) in TALK.items():
            rooms.move(room_id, person, "invite", "leave")
        for turn in range(max(len(texts) for _, texts in TALK.values())):
            for room_id, (person, texts) in TALK.items():
                if turn < len(texts):
                    rooms.say(room_id, person, texts[turn])

    def send_again(self) -> None:
        """Say what waited for the choice of an agent, and was forgotten, once more."""
        person, texts = TALK[SECOND]
        self.homeserver.say(SECOND, person, texts[0])
        self._is_sent_again = True

    async def all_answered(self, life: asyncio.Task[None]) -> bool:
        """Wait for an answer to everything; False if the life ends first."""
        async with asyncio.timeout(HANGS_SECONDS):
            while self._unanswered():
                if life.done():
                    return False
                await asyncio.sleep(0.01)
        return True

    def _unanswered(self) -> list[str]:
        found = []
        for room_id, (person, _) in TALK.items():
            events = self.homeserver.timeline(room_id)
            answers = {e.in_reply_to: e.body for e in events}  # the last one to each
            found += [
                asked.body
                for asked in events
                if asked.sender == person and not _is_whole(answers.get(asked.event_id), asked.body)
            ]
        return found

    def answers_to(self, room_id: RoomId, text: str) -> list[str]:
        """The answers to the person's messages of this text, as they stand."""
        events = self.homeserver.timeline(room_id)
        asked = {e.event_id for e in events if e.in_reply_to is None and e.body == text}
        return [e.body for e in events if e.in_reply_to in asked]

    async def assert_as_if_nothing_had_happened(self) -> None:
        """What the docs promise, seen from the rooms and from the file."""
        numbers = [self._assert_room(room_id) for room_id in TALK]
        assert len(set(numbers)) == len(numbers), "a platform_chat_id serves two rooms"
        # the question is forgotten with its answer: a second one finds none
        assert "I have no open question" in self.answers_to(FIRST, "!yes")[-1]
        await self._assert_in_order(numbers)

    async def _assert_in_order(self, numbers: list[int]) -> None:
        """The file is whole, owes nothing, and says so however often it is loaded."""
        assert self.homeserver.wrong == []
        with closing(sqlite3.connect(self.database)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            for table in ("outbox", "stream", "reopened", "parked", "quarantine"):
                rows = db.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
                assert rows == [], f"{table} has something left"
            (issued,) = db.execute(
                "SELECT value FROM kv WHERE key = 'platform_chat_seq'"
            ).fetchone()
            assert int(issued) >= max(numbers)
            before = list(db.iterdump())
        await self._load_twice()
        with closing(sqlite3.connect(self.database)) as db:
            assert list(db.iterdump()) == before, "loading changed something"

    def _assert_room(self, room_id: RoomId) -> int:
        """Each message answered once and in order, by one route, whose number this is."""
        person, texts = TALK[room_id]
        events = self.homeserver.timeline(room_id)
        asked = [e for e in events if e.sender == person]
        if room_id == SECOND and self._is_sent_again:
            texts = (*texts, texts[0])
        assert [e.body for e in asked] == list(texts)
        answers = [e for e in events if e.in_reply_to is not None]
        order = [e.event_id for e in asked]
        if room_id == SECOND and not self._is_sent_again:
            # answered with the list of agents; after the choice, by the agent
            order = [*order, order[0]]
        transcript = [f"{e.sender}: {e.body}" for e in events]
        assert [a.in_reply_to for a in answers] == order, transcript
        routes = {a.body.partition("]")[0] for a in answers if a.body.startswith("[")}
        assert len(routes) == 1, transcript
        return int(routes.pop().rpartition(" ")[2])

    async def _load_twice(self) -> None:
        for _ in range(2):
            store = await SqliteStore.open(self.database, now=lambda: datetime.now(UTC))
            await Bot(self._config, store).log_restart_report()
            await store.close()


class MemoryNewcomer(MemoryBot):
    """A bot that is invited by somebody who has no Space yet."""

    def _configure(self) -> Config:
        return config_in(self.directory, agents=1, onboarding="space")

    async def begin(self) -> None:
        """The invite is all that happens."""
        self.homeserver.move(FIRST, ALICE, "invite", "leave")

    def _unanswered(self) -> list[str]:
        told = [e.body for e in self.homeserver.timeline(FIRST)]
        missing = [text for text in ("Hello!", "is ready") if not any(text in t for t in told)]
        missing += ["invites"] * (len(self.homeserver.rooms.invited) < 2)
        if not missing and self.database.exists():
            with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as db:
                missing += [kind for (kind,) in db.execute("SELECT kind FROM outbox")]
        return missing

    async def assert_as_if_nothing_had_happened(self) -> None:
        """One Space, one chat in it, each told of once."""
        rooms = self.homeserver.rooms
        space, chat = rooms.made
        assert len(self.homeserver.timeline(FIRST)) == 2
        assert [e.body for e in self.homeserver.timeline(chat)] == [
            "Welcome to “Chat 1”. **Agent 1** (`agent-1`) answers here. Just write."
        ]
        assert rooms.invited == {(space, ALICE), (chat, ALICE)}
        assert (space, "m.space.child", chat) in rooms.states
        with closing(sqlite3.connect(self.database)) as db:
            kept = dict(db.execute("SELECT key, value FROM kv").fetchall())
        assert json.loads(kept[f"matrix_user:{ALICE}"])["space_id"] == space
        assert json.loads(kept[f"matrix_user:{ALICE}"])["next_chat_index"] == 2
        assert json.loads(kept[f"chat:{ALICE}:C1"])["room_id"] == chat
        assert f"flow:chats:{ALICE}" not in kept
        await self._assert_in_order([1])


def _is_whole(answer: str | None, asked: str) -> bool:
    """An agent's answer grows until it ends with the question."""
    return answer is not None and (not answer.startswith("[") or answer.endswith(asked))
