"""Making rooms: one for each purpose, however often it is tried.

``createRoom`` takes no transaction id. What names a room instead is an alias that follows from the
purpose: who finds it taken has made the room before, and adopts it.
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
"""How long a room may lack its name before it counts as half made. A homeserver takes the alias
first, and goes on making the room when the bot that asked for it has died."""

POLL_SECONDS = 0.25
"""How often it is looked at meanwhile."""

MAX_ALIAS_ATTEMPTS = 3
"""So often an alias is taken from a room that can't be used; then a refusal is final."""


_CONFLICT = 409
"""What Synapse answers, with no errcode of its own, where another request for the same alias was
quicker by a moment."""


class _RoomStatus(Enum):
    """What a room is that has the alias already."""

    WHOLE = auto()
    UNFINISHED = auto()
    LEFT = auto()


@frozen(kw_only=True)
class RoomStyle:
    """What the bot's rooms are like.

    Args:
        encrypted: Chat rooms are encrypted. A Space is not: nothing is said in it.
        history_visibility: Of ``m.room.history_visibility``.
        space_avatar: The ``mxc://`` URI of a Space's picture.
    """

    encrypted: bool = False
    history_visibility: str = "shared"
    space_avatar: str | None = None


class RoomCreator:
    """Makes rooms on one homeserver.

    Args:
        homeserver: Where they are made.
        style: What they are like.
        secret: What aliases are made from besides their purpose, so that nobody else can take one
            first, and a new database finds no rooms of an old one.
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

    async def make(self, wish: NewRoom) -> RoomId:
        """Make the room, or find the one that was made for the same wish.

        Raises:
            MatrixError: There is none; the class says whether there may be later.
        """
        alias = alias_of(wish, self._homeserver.user_id, self._secret)
        body = self._body(wish) | {"room_alias_name": alias.partition(":")[0].removeprefix("#")}
        for _ in range(MAX_ALIAS_ATTEMPTS):
            found = await self._create_or_find(body, alias)
            if found is not None:
                return found
        return await self._create(body)

    async def _create_or_find(self, body: Json, alias: str) -> RoomId | None:
        """The room, made now or before. None if the alias was another's, and is free now."""
        try:
            return await self._create(body)
        except Refused as refused:
            if refused.errcode != "M_ROOM_IN_USE" and refused.status != _CONFLICT:
                raise
        found = await self._homeserver.rooms.find_alias(alias)
        reach("room.found")
        if found is not None and await self._is_whole(found):
            return found
        # the homeserver died while it made the room, or the bot has left it since
        _log.info("an alias is taken from a room that can't be used", alias=alias, room_id=found)
        await self._homeserver.rooms.delete_alias(alias)
        reach("room.freed")
        return None

    async def _create(self, body: Json) -> RoomId:
        reach("room.create.before")
        room_id = await self._homeserver.rooms.create(body)
        reach("room.create.after")
        return room_id

    async def _is_whole(self, room_id: RoomId) -> bool:
        """Whether the room can be used, now or as soon as it has been made."""
        loop = asyncio.get_running_loop()
        last = loop.time() + self._unfinished_seconds
        while True:
            found = await self._status(room_id)
            if found is not _RoomStatus.UNFINISHED or loop.time() >= last:
                return found is _RoomStatus.WHOLE
            await asyncio.sleep(POLL_SECONDS)

    async def _status(self, room_id: RoomId) -> _RoomStatus:
        """Whether the bot is in the room, and its name is set, which comes last."""
        rooms, bot = self._homeserver.rooms, self._homeserver.user_id
        try:
            member = await rooms.state(room_id, "m.room.member", bot)
            if member is None or member.get("membership") != "join":
                # who has left may still read what was so then
                return _RoomStatus.UNFINISHED if member is None else _RoomStatus.LEFT
            is_named = await rooms.state(room_id, "m.room.name") is not None
        except Refused:
            return _RoomStatus.UNFINISHED
        return _RoomStatus.WHOLE if is_named else _RoomStatus.UNFINISHED

    def _body(self, wish: NewRoom) -> Json:
        state = [
            _state("m.room.history_visibility", history_visibility=self._style.history_visibility)
        ]
        if wish.space_id is not None:
            via = [self._homeserver.user_id.partition(":")[2]]
            parent = _state("m.space.parent", via=via, canonical=True)
            allowed = {"type": "m.room_membership", "room_id": wish.space_id}
            state += [
                parent | {"state_key": wish.space_id},
                _state("m.room.join_rules", join_rule="restricted", allow=[allowed]),
            ]
        if wish.is_space and self._style.space_avatar is not None:
            state.append(_state("m.room.avatar", url=self._style.space_avatar))
        if self._style.encrypted and not wish.is_space:
            state.append(_state("m.room.encryption", algorithm="m.megolm.v1.aes-sha2"))
        return {
            "name": wish.name,
            "visibility": "private",
            "preset": "private_chat",
            "initial_state": state,
            # no invites: those that are over a rate limit make Synapse refuse the room for good
        } | ({"creation_content": {"type": "m.space"}} if wish.is_space else {})


def alias_of(wish: NewRoom, bot: UserId, secret: str) -> str:
    """The alias that the room for this wish has, and no other."""
    text = f"{secret}\0{bot}\0{wish.user_id}\0{wish.purpose}"
    digest = sha256(text.encode()).hexdigest()[:24]
    return f"#strandline_{digest}:{bot.partition(':')[2]}"


def _state(event_type: str, **content: object) -> Json:
    return {"type": event_type, "state_key": "", "content": content}
