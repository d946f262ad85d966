"""Creation of rooms: exactly one for each purpose, however often it is retried.

``createRoom`` has no transaction id. Instead, the room gets an alias that is derived from its
purpose: if the alias exists, an earlier attempt created the room, and that room is used.
"""

import asyncio
from enum import Enum, auto
from hashlib import sha256
from typing import Any

import structlog
from attrs import frozen

from fsm.effects import NewRoom
from fsm.failpoints import reach
from fsm.values.ids import RoomId, UserId
from matrix.api.errors import Refused
from matrix.api.homeserver import Homeserver

_log = structlog.get_logger(__name__)

Json = dict[str, Any]

UNFINISHED_SECONDS = 10.0
"""How long a room may lack its name before it counts as incomplete. A homeserver sets the alias
first, and continues the creation when the bot that requested it has died."""

POLL_SECONDS = 0.25
"""The interval between checks until then."""

MAX_ALIAS_ATTEMPTS = 3
"""Maximum times that the alias is deleted from an unusable room; then a refusal is final."""


_CONFLICT = 409
"""Synapse's status, without a specific errcode, if a concurrent request created the same alias."""


class _RoomStatus(Enum):
    """The status of a room that has the alias already."""

    COMPLETE = auto()
    INCOMPLETE = auto()
    LEFT = auto()


@frozen(kw_only=True)
class RoomStyle:
    """Settings of the bot's rooms.

    Args:
        encrypted: Chat rooms are encrypted. A Space is not: it has no messages.
        history_visibility: Of ``m.room.history_visibility``.
        space_avatar: The ``mxc://`` URI of a Space's picture.
    """

    encrypted: bool = False
    history_visibility: str = "shared"
    space_avatar: str | None = None


class RoomCreator:
    """Creates rooms on one homeserver.

    Args:
        homeserver: The homeserver.
        style: Their settings.
        secret: Part of the alias's hash, so that nobody else can create an alias first, and a new
            database does not find the rooms of an old one.
        unfinished_seconds: See ``UNFINISHED_SECONDS``.
    """

    def __init__(
        self,
        homeserver: Homeserver,
        style: RoomStyle,
        *,
        secret: str,
        unfinished_seconds: float = UNFINISHED_SECONDS,
    ) -> None:
        self._homeserver = homeserver
        self._style = style
        self._secret = secret
        self._unfinished_seconds = unfinished_seconds

    async def make(self, room: NewRoom) -> RoomId:
        """Create the room, or find the one that was created for the same request.

        Raises:
            MatrixError: It failed; ``is_permanent`` says whether a retry may help.
        """
        alias = alias_of(room, self._homeserver.user_id, self._secret)
        body = self._body(room) | {"room_alias_name": alias.partition(":")[0].removeprefix("#")}
        for _ in range(MAX_ALIAS_ATTEMPTS):
            found = await self._create_or_find(body, alias)
            if found is not None:
                return found
        return await self._create(body)

    async def _create_or_find(self, body: Json, alias: str) -> RoomId | None:
        """The room, created now or before. None if the alias was deleted from an unusable room."""
        try:
            return await self._create(body)
        except Refused as refused:
            if refused.errcode != "M_ROOM_IN_USE" and refused.status != _CONFLICT:
                raise
        found = await self._homeserver.rooms.find_alias(alias)
        reach("room.found")
        if found is not None and await self._is_complete(found):
            return found
        # the homeserver died during the creation, or the bot has left the room since
        _log.info("deleting the alias of an unusable room", alias=alias, room_id=found)
        await self._homeserver.rooms.delete_alias(alias)
        reach("room.freed")
        return None

    async def _create(self, body: Json) -> RoomId:
        reach("room.create.before")
        room_id = await self._homeserver.rooms.create(body)
        reach("room.create.after")
        return room_id

    async def _is_complete(self, room_id: RoomId) -> bool:
        """Whether the room is complete, now or within ``unfinished_seconds``."""
        loop = asyncio.get_running_loop()
        last = loop.time() + self._unfinished_seconds
        while True:
            found = await self._status(room_id)
            if found is not _RoomStatus.INCOMPLETE or loop.time() >= last:
                return found is _RoomStatus.COMPLETE
            await asyncio.sleep(POLL_SECONDS)

    async def _status(self, room_id: RoomId) -> _RoomStatus:
        """The room's status: the bot is a member, and the name, which comes last, is set."""
        rooms, bot = self._homeserver.rooms, self._homeserver.user_id
        try:
            member = await rooms.state(room_id, "m.room.member", bot)
            if member is None or member.get("membership") != "join":
                # a former member can read the state from when it left
                return _RoomStatus.INCOMPLETE if member is None else _RoomStatus.LEFT
            is_named = await rooms.state(room_id, "m.room.name") is not None
        except Refused:
            return _RoomStatus.INCOMPLETE
        return _RoomStatus.COMPLETE if is_named else _RoomStatus.INCOMPLETE

    def _body(self, room: NewRoom) -> Json:
        state = [
            _state("m.room.history_visibility", history_visibility=self._style.history_visibility)
        ]
        if room.space_id is not None:
            via = [self._homeserver.user_id.partition(":")[2]]
            parent = _state("m.space.parent", via=via, canonical=True)
            allowed = {"type": "m.room_membership", "room_id": room.space_id}
            state += [
                parent | {"state_key": room.space_id},
                _state("m.room.join_rules", join_rule="restricted", allow=[allowed]),
            ]
        if room.is_space and self._style.space_avatar is not None:
            state.append(_state("m.room.avatar", url=self._style.space_avatar))
        if self._style.encrypted and not room.is_space:
            state.append(_state("m.room.encryption", algorithm="m.megolm.v1.aes-sha2"))
        return {
            "name": room.name,
            "visibility": "private",
            "preset": "private_chat",
            "initial_state": state,
            # no invites: if they exceed a rate limit, Synapse refuses the room for ever
        } | ({"creation_content": {"type": "m.space"}} if room.is_space else {})


def alias_of(room: NewRoom, bot: UserId, secret: str) -> str:
    """The alias of the room for this request, which no other request has."""
    text = f"{secret}\0{bot}\0{room.user_id}\0{room.purpose}"
    digest = sha256(text.encode()).hexdigest()[:24]
    return f"#strandline_{digest}:{bot.partition(':')[2]}"


def _state(event_type: str, **content: object) -> Json:
    return {"type": event_type, "state_key": "", "content": content}
