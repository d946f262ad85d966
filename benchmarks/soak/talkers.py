"""People who go on talking while everything around them is killed."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
from attrs import define, field

from fsm.values.ids import EventId, RoomId, UserId
from strandline.testing import Person
from strandline.testing.errors import KitError
from strandline.testing.homeserver import Credentials
from strandline.testing.person import edit_content
from tests.support.encrypted import EncryptedPerson

T = TypeVar("T")
Json = dict[str, Any]

PAGE = 500


@define(eq=False)
class Talker:
    """Someone who says a thing once, however often the homeserver dies under it.

    Args:
        encrypting: Their encrypting client, if they have one.
    """

    person: Person
    encrypting: EncryptedPerson | None = None
    _numbers: "count[int]" = field(factory=count)

    @property
    def user_id(self) -> UserId:
        return self.person.user_id

    @classmethod
    async def arrive(
        cls, url: str, credentials: Credentials, *, encrypted: bool, directory: Path
    ) -> "Talker":
        encrypting = None
        if encrypted:
            encrypting = await EncryptedPerson.arrive(
                url, credentials.user_id, credentials.password, directory
            )
        return cls(Person(url, credentials), encrypting)

    async def close(self) -> None:
        if self.encrypting is not None:
            await self.encrypting.close()
        await self.person.close()

    async def new_room(self, invite: list[UserId]) -> RoomId:
        if self.encrypting is not None:
            inner = self.encrypting
            return await persist(lambda: inner.create_room(invite))
        return await persist(lambda: self.person.create_room(invite=invite))

    async def invite(self, room_id: RoomId, user_id: UserId) -> None:
        with suppress(KitError):  # a repeat: they are in the room already
            await persist(lambda: self.person.invite(room_id, user_id))

    async def join(self, room_id: RoomId) -> None:
        await persist(lambda: self.person.join(room_id))

    async def leave(self, room_id: RoomId) -> None:
        with suppress(KitError):  # a repeat: they are out of the room already
            await persist(lambda: self.person.leave(room_id))

    async def accept(self) -> list[RoomId]:
        """Enter every room to which they are invited; those that are no Spaces."""
        entered = []
        for room_id in await persist(self.person.invites):
            if not await persist(partial(self.person.is_invited_to_space, room_id)):
                entered.append(room_id)
            await self.join(room_id)
        return entered

    async def say(self, room_id: RoomId, text: str) -> EventId:
        return await self._send(room_id, {"msgtype": "m.text", "body": text})

    async def edit(self, room_id: RoomId, event_id: EventId, text: str) -> None:
        await self._send(room_id, edit_content(event_id, text))

    async def redact(self, room_id: RoomId, event_id: EventId) -> None:
        path = f"/rooms/{quote(room_id)}/redact/{quote(event_id)}/talker.{next(self._numbers)}"
        await persist(lambda: self.person.request("PUT", path, {}))

    async def _send(self, room_id: RoomId, content: Json) -> EventId:
        if self.encrypting is not None:
            inner = self.encrypting
            return await persist(lambda: inner.send(room_id, content))
        path = f"/rooms/{quote(room_id)}/send/m.room.message/talker.{next(self._numbers)}"
        sent = await persist(lambda: self.person.request("PUT", path, content))
        return EventId(sent["event_id"])


class Reader:
    """Reads one room back from the homeserver, only what is new each time."""

    def __init__(self, talker: Talker, room_id: RoomId) -> None:
        self.room_id = room_id
        self._talker = talker
        self._events: dict[str, Json] = {}
        self._from = ""

    async def read(self) -> list[Json]:
        """Every event so far, in the homeserver's order, as the homeserver has it."""
        while True:
            path = f"/rooms/{quote(self.room_id)}/messages?dir=f&limit={PAGE}{self._from}"
            page = await persist(lambda path=path: self._talker.person.request("GET", path))  # type: ignore[misc]
            self._events |= {event["event_id"]: event for event in page["chunk"]}
            if "end" not in page or not page["chunk"]:
                return list(self._events.values())
            self._from = f"&from={quote(page['end'])}"

    async def read_clear(self) -> list[Json]:
        """The same with every encrypted event in clear that this person's client can open."""
        raw = await self.read()
        inner = self._talker.encrypting
        if inner is None:
            return raw
        clear = {e.event_id: e for e in await persist(lambda: inner.timeline(self.room_id))}
        return [
            event | {"type": readable.type, "content": event["content"] | readable.content}
            if (readable := clear.get(event["event_id"]))
            else event
            for event in raw
        ]


async def persist(operation: Callable[[], Awaitable[T]]) -> T:
    """Do it until the homeserver is there to do it."""
    while True:
        try:
            return await operation()
        except (KitError, aiohttp.ClientError, OSError, ValueError, AssertionError) as error:
            if "M_FORBIDDEN" in str(error):
                raise
            await asyncio.sleep(0.25)
