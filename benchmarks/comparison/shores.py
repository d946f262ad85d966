"""Where people and a bot meet: private chats, each of one person with the bot."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol
from urllib.parse import quote

from benchmarks.comparison.bot_api import BotApi
from fsm.values.ids import RoomId, UserId
from strandline.testing import Person


class Shore(Protocol):
    """Chats, counted from 0.

    Args:
        prefix: What commands begin with here.
    """

    prefix: str

    async def open(self) -> None:
        """Have the bot, which runs, in every chat."""

    async def say(self, chat: int, text: str) -> None:
        """The person of this chat writes."""

    def heard(self, chat: int) -> Sequence[str]:
        """What the bot has said there, oldest first."""

    async def close(self) -> None:
        """Nobody listens any more."""


class MatrixShore:
    """Rooms of a real homeserver; each person listens by ``/sync``, as a client does."""

    prefix = "!"

    def __init__(self, people: list[Person], bot: UserId) -> None:
        self._people = people
        self._bot = bot
        self._rooms: list[RoomId] = []
        self._heard: list[list[str]] = [[] for _ in people]
        self._ears: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        for chat, person in enumerate(self._people):
            room = await person.create_room(invite=[self._bot])
            self._rooms.append(room)
            self._ears.append(asyncio.create_task(self._listen(chat)))
            while await person.membership(room, self._bot) != "join":
                await asyncio.sleep(0.1)

    async def say(self, chat: int, text: str) -> None:
        await self._people[chat].say(self._rooms[chat], text)

    def heard(self, chat: int) -> Sequence[str]:
        return self._heard[chat]

    async def close(self) -> None:
        for ear in self._ears:
            ear.cancel()
            with suppress(asyncio.CancelledError):
                await ear
        for person in self._people:
            await person.close()

    async def _listen(self, chat: int) -> None:
        room, since = self._rooms[chat], ""
        only = quote(json.dumps({"room": {"rooms": [room], "timeline": {"limit": 500}}}))
        while True:
            path = f"/sync?timeout=20000&filter={only}{since}"
            news = await self._people[chat].request("GET", path)
            since = f"&since={quote(news['next_batch'])}"
            for joined in news.get("rooms", {}).get("join", {}).values():
                for event in joined["timeline"]["events"]:
                    if event["type"] == "m.room.message" and event["sender"] == self._bot:
                        self._heard[chat].append(event["content"].get("body", ""))


class TelegramShore:
    """Chats of the scripted Bot API."""

    prefix = "/"

    def __init__(self, api: BotApi) -> None:
        self._api = api

    async def open(self) -> None:
        """A bot is in every chat with it."""

    async def say(self, chat: int, text: str) -> None:
        await self._api.say(chat + 100, text)

    def heard(self, chat: int) -> Sequence[str]:
        return self._api.said.get(chat + 100, [])

    async def close(self) -> None:
        await self._api.stop()
