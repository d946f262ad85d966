"""What can be asked of a homeserver about rooms and who is in them, besides what is said there."""

from typing import Any

from fsm.values.ids import EventId, RoomId, UserId
from matrix.api import fields
from matrix.api.errors import Refused, Unreachable
from matrix.api.http import HomeserverHttp, endpoint

Json = dict[str, Any]

CREATE_SECONDS = 120.0
"""A busy homeserver takes its time to make a room."""

TYPING_SECONDS = 30.0
"""How long the homeserver says that the bot is typing, unless it is told again."""

_NOT_FOUND = 404
_FORBIDDEN = 403


class Rooms:
    """Requests of one account that change or read rooms."""

    def __init__(self, http: HomeserverHttp, user_id: UserId) -> None:
        self._http = http
        self._user_id = user_id

    async def create(self, body: Json) -> RoomId:
        """Make a room. It has no transaction id: see ``matrix.outbound.room_creation``."""
        path = endpoint("createRoom")
        answer = await self._http.request("POST", path, body=body, timeout_seconds=CREATE_SECONDS)
        return RoomId(_text(self._http, answer, "room_id"))

    async def find_alias(self, alias: str) -> RoomId | None:
        """The room that an alias stands for, or None."""
        try:
            answer = await self._http.request("GET", endpoint("directory", "room", alias))
        except Refused as refused:
            if refused.status != _NOT_FOUND:
                raise
            return None
        return RoomId(_text(self._http, answer, "room_id"))

    async def delete_alias(self, alias: str) -> None:
        """Have an alias of the bot's stand for nothing. It may do so already."""
        try:
            await self._http.request("DELETE", endpoint("directory", "room", alias))
        except Refused as refused:
            if refused.status != _NOT_FOUND:
                raise

    async def state(self, room_id: RoomId, event_type: str, state_key: str = "") -> Json | None:
        """The content of a piece of a room's state, or None if it is not set.

        Raises:
            Refused: The bot is not in the room.
        """
        path = endpoint("rooms", room_id, "state", event_type, state_key)
        try:
            return await self._http.request("GET", path)
        except Refused as refused:
            if refused.status != _NOT_FOUND:
                raise
            return None

    async def own_join(self, room_id: RoomId) -> Json | None:
        """The event by which the bot is in the room, or None.

        Raises:
            Refused: The bot is not in the room.
        """
        path = endpoint("rooms", room_id, "state", "m.room.member", self._user_id)
        try:
            return await self._http.request("GET", path, query={"format": "event"})
        except Refused as refused:
            if refused.status != _NOT_FOUND:
                raise
            return None

    async def set_state(
        self, room_id: RoomId, event_type: str, state_key: str, content: Json
    ) -> EventId:
        """Set a piece of a room's state. What is so already stays one event."""
        path = endpoint("rooms", room_id, "state", event_type, state_key)
        answer = await self._http.request("PUT", path, body=content)
        return EventId(_text(self._http, answer, "event_id"))

    async def invite(self, room_id: RoomId, user_id: UserId) -> None:
        """Invite somebody. Who is in the room already needs no invite, which is no error."""
        path = endpoint("rooms", room_id, "invite")
        try:
            await self._http.request("POST", path, body={"user_id": user_id})
        except Refused as refused:
            if refused.status != _FORBIDDEN or not await self._is_member(room_id, user_id):
                raise

    async def people(self, room_id: RoomId) -> int:
        """How many are in the room, or invited to it."""
        answer = await self._http.request("GET", endpoint("rooms", room_id, "members"))
        members = (fields.fields(member, "content") for member in fields.objects(answer, "chunk"))
        return sum(fields.text(m, "membership") in ("join", "invite") for m in members)

    async def read(self, room_id: RoomId, event_id: EventId) -> None:
        """Say that the bot has read the room as far as this event."""
        path = endpoint("rooms", room_id, "receipt", "m.read", event_id)
        await self._http.request("POST", path, body={})

    async def typing(self, room_id: RoomId, *, is_typing: bool) -> None:
        """Say that the bot is typing, for ``TYPING_SECONDS``, or that it is no more."""
        path = endpoint("rooms", room_id, "typing", self._user_id)
        timeout = {"timeout": round(TYPING_SECONDS * 1000)} if is_typing else {}
        await self._http.request("PUT", path, body={"typing": is_typing, **timeout})

    async def _is_member(self, room_id: RoomId, user_id: UserId) -> bool:
        try:
            content = await self.state(room_id, "m.room.member", user_id)
        except Refused:
            return False
        return content is not None and content.get("membership") in ("join", "invite")


def _text(http: HomeserverHttp, answer: Json, key: str) -> str:
    value = answer.get(key)
    if not isinstance(value, str):
        raise Unreachable(http.url, f"its answer lacks {key}")
    return value
