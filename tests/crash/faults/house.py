"""The bot inside the test's own process, so that its disk and its network can be made to fail."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from durable.store import SqliteStore
from fsm import StrandlineError
from fsm.values.ids import RoomId
from strandline.config.model import load_config
from strandline.engine.bot import OpenStore, serve
from strandline.testing import Credentials, Person
from strandline.testing.bot import config_for
from tests.support.limits import HANGS_SECONDS
from tests.support.setup import agent

CONVERSATION = ["!agent 1", "one", "!agent 2", "two", "!archive", "!yes", "three"]
"""A route is made, a durable choice, a question and its answer, an archived room."""


class House:
    """One bot's account and data; it lives as often as a test wants."""

    def __init__(
        self, directory: Path, url: str, credentials: Credentials, **sections: object
    ) -> None:
        self.user_id = credentials.user_id
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        entries = [agent("agent-1"), agent("agent-2")]
        sections.setdefault("rooms", {"onboarding": "none"})
        self._raw: dict[str, Any] = config_for(url, credentials, agents=entries, **sections)

    @property
    def database(self) -> Path:
        return self.directory / "data" / "lambda_matrix.db"

    def point_to(self, url: str) -> None:
        """Have the bot speak to another address from its next life on."""
        self._raw["homeserver"]["url"] = url

    @asynccontextmanager
    async def living(
        self, connect: Callable[..., Any] | None = None
    ) -> AsyncIterator[asyncio.Task[None]]:
        """One life of the bot. Should a fault end it, the test goes on."""
        path = self.directory / "config.yaml"
        path.write_text(yaml.safe_dump(self._raw))
        config = load_config(path, {})
        stop = asyncio.Event()
        open_store: OpenStore = (
            partial(SqliteStore.open, connect=connect) if connect else SqliteStore.open
        )
        life = asyncio.create_task(serve(config, stop, open_store=open_store))
        try:
            yield life
        finally:
            stop.set()
            with suppress(StrandlineError, ExceptionGroup):
                await life


async def begin(alice: Person, house: House) -> RoomId:
    """Alice invites the bot and says all she has to say, without waiting for answers."""
    room = await alice.create_room(invite=[house.user_id])
    for text in CONVERSATION:
        await alice.say(room, text)
    return room


async def all_answered(alice: Person, room: RoomId, *, life: asyncio.Task[None]) -> bool:
    """Wait until everything that Alice said is answered; False if the bot's life ends first."""
    async with asyncio.timeout(HANGS_SECONDS):
        while True:
            events = await alice.timeline(room)
            asked = {e.event_id for e in events if e.sender == alice.user_id}
            if asked <= {e.in_reply_to for e in events}:
                return True
            if life.done():
                return False
            await asyncio.sleep(0.1)


async def assert_once_and_in_order(alice: Person, room: RoomId) -> None:
    """Each message has one answer, in order, and the answers are those of one route."""
    events = await alice.timeline(room)
    asked = [e.event_id for e in events if e.sender == alice.user_id]
    answers = [e for e in events if e.in_reply_to is not None]
    assert [a.in_reply_to for a in answers] == asked, await alice.transcript(room)
    routes = {a.body.partition("]")[0] for a in answers if a.body.startswith("[")}
    assert routes == {"[agent-1 · chat 1"}, await alice.transcript(room)
