"""Requests about rooms, their state and their members."""

from typing import Any

from fsm.values.ids import EventId, RoomId, UserId
from matrix.api import fields
from matrix.api.errors import Refused, Unreachable
from matrix.api.http import HomeserverHttp, endpoint

Json = dict[str, Any]

CREATE_TIMEOUT_SECONDS = 120.0
"""Timeout of ``createRoom``, which takes long on a busy homeserver."""

TYPING_TIMEOUT_SECONDS = 30.0
"""How long a typing notification lasts without a renewal."""

_NOT_FOUND = 404
_FORBIDDEN = 403


class Rooms:
    """Makes one account's requests that read or change rooms."""

    def __init__(self, http: HomeserverHttp, user_id: UserId) -> None:
        self._http = http
        self._user_id = user_id

    async def create(self, body: Json) -> RoomId:
        """Create a room and return its id.

        The request has no transaction id, so a retry can create a second room.
        ``matrix.outbound.room_creation`` prevents that.

        Args:
            body: The body of the ``createRoom`` request.
        """
        path = endpoint("createRoom")
        answer = await self._http.request(
            "POST", path, body=body, timeout_seconds=CREATE_TIMEOUT_SECONDS
        )
        return RoomId(_text(self._http, answer, "room_id"))

    async def find_alias(self, alias: str) -> RoomId | None:
        """Return the room that the alias names; None if the alias does not exist."""
        try:
            answer = await self._http.request("GET", endpoint("directory", "room", alias))
        except Refused as refused:
            if refused.status != _NOT_FOUND:
                raise
            return None
        return RoomId(_text(self._http, answer, "room_id"))

    async def delete_alias(self, alias: str) -> None:
        """Delete one of the bot's aliases. It is no error if the alias does not exist."""
        try:
            await self._http.request("DELETE", endpoint("directory", "room", alias))
        except Refused as refused:
            if refused.status != _NOT_FOUND:
                raise

    async def state(self, room_id: RoomId, event_type: str, state_key: str = "") -> Json | None:
        """Return the content of a state event of the room; None if it is not set.

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

    async def own_membership(self, room_id: RoomId) -> Json | None:
        """Return the state event of the bot's membership in the room; None if there is none.

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
        """Set a state event of the room and return its event id.

        Setting the same content again creates no new event.
        """
        path = endpoint("rooms", room_id, "state", event_type, state_key)
        answer = await self._http.request("PUT", path, body=content)
        return EventId(_text(self._http, answer, "event_id"))

    async def invite(self, room_id: RoomId, user_id: UserId) -> None:
        """Invite a user. It is no error if they are in the room or invited already."""
        path = endpoint("rooms", room_id, "invite")
        try:
            await self._http.request("POST", path, body={"user_id": user_id})
        except Refused as refused:
            if refused.status != _FORBIDDEN or not await self._is_member(room_id, user_id):
                raise

    async def member_count(self, room_id: RoomId) -> int:
        """Request and return the number of users who are in the room or invited."""
        answer = await self._http.request("GET", endpoint("rooms", room_id, "members"))
        members = (fields.fields(member, "content") for member in fields.objects(answer, "chunk"))
        return sum(fields.text(m, "membership") in ("join", "invite") for m in members)

    async def send_read_receipt(self, room_id: RoomId, event_id: EventId) -> None:
        """Mark the room as read up to this event."""
        path = endpoint("rooms", room_id, "receipt", "m.read", event_id)
        await self._http.request("POST", path, body={})

    async def set_typing(self, room_id: RoomId, *, is_typing: bool) -> None:
        """Show the bot as typing, or as no longer typing.

        Args:
            room_id: The room.
            is_typing: True to show the bot as typing for ``TYPING_TIMEOUT_SECONDS``; False to end
                that.
        """
        path = endpoint("rooms", room_id, "typing", self._user_id)
        timeout = {"timeout": round(TYPING_TIMEOUT_SECONDS * 1000)} if is_typing else {}
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
