"""A scene: people and bots on one homeserver, all gone when the test ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from math import inf
from pathlib import Path
from typing import Any, Self

from attrs import frozen

from fsm.values.ids import EventId, RoomId, UserId
from strandline.testing import BotProcess, Person, Synapse
from strandline.testing.bot import config_for
from strandline.testing.homeserver import Credentials
from strandline.testing.person import Expected, TimelineEvent, fold
from tests.support.encrypted import EncryptedPerson
from tests.support.limits import HANGS_SECONDS


class Bot(BotProcess):
    """A bot process whose agents a test may change."""

    def configure(self, *, agents: Iterable[str], options: dict[str, Any] | None = None) -> None:
        """Change the registry, as an operator would between two starts."""
        self.config["agents"] = [agent(name, options) for name in agents]


class EncryptedUser(Person):
    """A person all of whose rooms are encrypted."""

    def __init__(self, url: str, inner: EncryptedPerson, credentials: Any) -> None:
        super().__init__(url, credentials)
        self.inner = inner

    async def close(self) -> None:
        await self.inner.close()
        await super().close()

    async def say(self, room_id: RoomId, text: str) -> EventId:
        return await self.inner.say(room_id, text)

    async def create_room(
        self,
        *,
        invite: Iterable[UserId] = (),
        encrypted: bool = True,
        name: str | None = None,
    ) -> RoomId:
        assert encrypted
        del name
        return await self.inner.create_room(list(invite))

    async def timelines(
        self, room_id: RoomId, *, until: float = inf
    ) -> AsyncIterator[list[TimelineEvent]]:
        async for _ in self.raw_timelines(room_id, until=until):
            yield await self.timeline(room_id)

    async def timeline(self, room_id: RoomId) -> list[TimelineEvent]:
        return fold(
            {"event_id": e.event_id, "sender": e.sender, "type": e.type, "content": e.content}
            for e in await self.inner.timeline(room_id)
        )


@frozen
class Home:
    """What a person has with the bot.

    Args:
        lobby: The room in which they met.
        space: Their Space.
        chat: The first chat in it.
    """

    lobby: RoomId
    space: RoomId
    chat: RoomId


def agent(agent_id: str, options: dict[str, Any] | None = None) -> dict[str, Any]:
    name = agent_id.replace("-", " ").capitalize()
    return {"id": agent_id, "name": name, "kind": "echo", "options": options or {}}


class Setup:
    """Makes people and bots with names of their own, and clears them away."""

    def __init__(self, synapse: Synapse, directory: Path) -> None:
        self.synapse = synapse
        self.directory = directory
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._stack.aclose()

    async def person(self, name: str, *, encrypted: bool = False) -> Person:
        """A new account, named like ``name``."""
        credentials = self.synapse.newcomer(name)
        person = Person(self.synapse.url, credentials)
        if encrypted:
            store = self.directory / credentials.user_id.strip("@").partition(":")[0]
            inner = await EncryptedPerson.arrive(
                self.synapse.url, credentials.user_id, credentials.password, store
            )
            await person.close()
            person = EncryptedUser(self.synapse.url, inner, credentials)
        self._stack.push_async_callback(person.close)
        return person

    async def bot(
        self,
        *,
        agents: int = 1,
        options: dict[str, Any] | None = None,
        start: bool = True,
        **sections: object,
    ) -> Bot:
        """A bot with so many echo agents, ready."""
        credentials = self.synapse.newcomer("bot")
        entries = [agent(f"agent-{n}", options) for n in range(1, agents + 1)]
        # most tests need one room, and not the Space around it
        sections.setdefault("rooms", {"onboarding": "none"})
        config = config_for(self.synapse.url, credentials, agents=entries, **sections)
        bot = Bot(
            self.directory / credentials.user_id.strip("@").partition(":")[0], config, forked=True
        )
        self._stack.push_async_callback(bot.stop)
        if start:
            await bot.start()
        return bot

    async def meet(self, person: Person, bot: Bot, *, greeting: Expected = "Hello!") -> RoomId:
        """A new room in which the bot has greeted the person."""
        encrypted = isinstance(person, EncryptedUser)
        room = await person.create_room(invite=[bot.user_id], encrypted=encrypted)
        await person.sees(room, greeting)
        return room

    async def welcome(self, person: Person, bot: Bot, *, greeting: Expected = "Hello!") -> Home:
        """The person's Space and first chat, both entered, after they have invited the bot."""
        lobby = await person.create_room(invite=[bot.user_id])
        await person.sees(lobby, greeting)
        space = await self._enter(person, is_space=True)
        chat = await self._enter(person, is_space=False)
        return Home(lobby, space, chat)

    async def _enter(self, person: Person, *, is_space: bool) -> RoomId:
        """Accept the next invite to a Space, or to a room that is none."""
        async with asyncio.timeout(HANGS_SECONDS):
            room = await person.invite_to(is_space=is_space)
        await person.join(room)
        return room

    async def enter_space(self, person: Person) -> RoomId:
        """Accept the next invite to a Space."""
        return await self._enter(person, is_space=True)

    async def enter_chat(self, person: Person) -> RoomId:
        """Accept the next invite to a chat room."""
        return await self._enter(person, is_space=False)

    async def half_make(self, bot: Bot, alias: str) -> RoomId:
        """A room with an alias and no name, as a homeserver leaves it that dies meanwhile."""
        async with self._as_bot(bot) as account:
            made = await account.request("POST", "/createRoom", {"room_alias_name": alias})
            return RoomId(made["room_id"])

    async def leave_as(self, bot: Bot, room: RoomId) -> None:
        """Have the bot's account leave a room of its own, as if it were thrown out."""
        async with self._as_bot(bot) as account:
            await account.leave(room)

    async def join_as(self, bot: Bot, room: RoomId) -> None:
        """Have the bot's account join a room by itself, and wait until the bot has seen it."""
        async with self._as_bot(bot) as account:
            await account.join(room)
        async with asyncio.timeout(30):
            while (room,) not in bot.store.rows("SELECT room_id FROM joined_room"):
                await asyncio.sleep(0.05)

    async def log_out(self, bot: Bot) -> None:
        """Revoke the bot's session; the homeserver forgets its device."""
        async with self._as_bot(bot) as account:
            await account.request("POST", "/logout/all", {})

    async def is_left_by(self, bot: Bot, room: RoomId) -> None:
        """Wait until the bot is no longer in the room."""
        async with asyncio.timeout(HANGS_SECONDS):
            while room in await self.joined_by(bot):
                await asyncio.sleep(0.05)

    async def joined_by(self, bot: Bot) -> set[RoomId]:
        """The rooms in which the bot is."""
        async with self._as_bot(bot) as account:
            return set((await account.request("GET", "/joined_rooms"))["joined_rooms"])

    async def call(self, bot: Bot, name: str) -> None:
        """Give the bot's account another display name, which it learns with its next start."""
        async with self._as_bot(bot) as account:
            path = f"/profile/{bot.user_id}/displayname"
            await account.request("PUT", path, {"displayname": name})

    def _as_bot(self, bot: Bot) -> Person:
        session = json.loads((bot.database.parent / "matrix_store" / "session.json").read_text())
        credentials = Credentials(
            user_id=bot.user_id,
            password="",
            access_token=session["access_token"],
            device_id=session["device_id"],
        )
        return Person(self.synapse.url, credentials)

    async def answers_each_once(self, person: Person, room: RoomId, texts: list[str]) -> None:
        """Assert that each text has one answer, in the order of the questions."""
        events = await person.timeline(room)
        asked = [e for e in events if e.sender == person.user_id and e.body in texts]
        assert [e.body for e in asked] == texts
        answers = [e.in_reply_to for e in events if e.sender != person.user_id]
        wanted = [e.event_id for e in asked]
        assert [a for a in answers if a in wanted] == wanted
