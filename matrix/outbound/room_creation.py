"""Creation of rooms: exactly one for each purpose, however often a request is retried.

``createRoom`` has no transaction id. Instead, the room gets an alias that is derived from its
purpose. If the alias exists, an earlier attempt created the room, and that room is used.
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
"""How long to wait for the name of a room that has the alias; without a name, the room then counts
as incomplete. A homeserver sets the alias first, and continues the creation when the bot that
requested it has died."""

POLL_SECONDS = 0.25
"""The interval between checks of whether the room has its name."""

MAX_ALIAS_ATTEMPTS = 3
"""Maximum number of times that the alias is deleted from an unusable room. After that, the room is
requested once more, and an error of this last request is raised."""


_CONFLICT = 409
"""The HTTP status of Synapse, with no specific errcode, if a concurrent request created the same
alias."""


class _RoomStatus(Enum):
    """The status of a room that has the alias already.

    Attributes:
        COMPLETE: The bot is a member, and the room has its name.
        INCOMPLETE: The room is still being created, or its creation was interrupted.
        LEFT: The bot is no longer a member.
    """

    COMPLETE = auto()
    INCOMPLETE = auto()
    LEFT = auto()


@frozen(kw_only=True)
class RoomStyle:
    """Settings of the rooms that the bot creates.

    Args:
        encrypted: Whether chat rooms are encrypted. A Space never is, because it has no messages.
        history_visibility: The value of ``m.room.history_visibility``.
        space_avatar: The ``mxc://`` URI of a Space's picture; None for no picture.
    """

    encrypted: bool = False
    history_visibility: str = "shared"
    space_avatar: str | None = None


class RoomCreator:
    """Creates rooms on one homeserver.

    Args:
        homeserver: The homeserver.
        style: The settings of the rooms.
        secret: Part of the text whose hash is in each alias. Nobody else can know an alias and take
            it first, and a new database, with another secret, does not find the rooms of an old
            one.
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
        """Create the room, or find the one that was created for the same request; return its id.

        Raises:
            MatrixError: The creation failed; ``is_permanent`` says whether a retry may help.
        """
        alias = alias_of(room, self._homeserver.user_id, self._secret)
        body = self._body(room) | {"room_alias_name": alias.partition(":")[0].removeprefix("#")}
        for _ in range(MAX_ALIAS_ATTEMPTS):
            found = await self._create_or_find(body, alias)
            if found is not None:
                return found
        return await self._create(body)

    async def _create_or_find(self, body: Json, alias: str) -> RoomId | None:
        """Create the room, or find the one that has the alias; return its id.

        Returns:
            None if the room with the alias was unusable. Its alias was deleted, so that the caller
            can try again.
        """
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
        """Wait up to ``unfinished_seconds`` for the room to be complete; return whether it is.

        Return False at once if the bot has left the room.
        """
        loop = asyncio.get_running_loop()
        last = loop.time() + self._unfinished_seconds
        while True:
            found = await self._status(room_id)
            if found is not _RoomStatus.INCOMPLETE or loop.time() >= last:
                return found is _RoomStatus.COMPLETE
            await asyncio.sleep(POLL_SECONDS)

    async def _status(self, room_id: RoomId) -> _RoomStatus:
        """Return the room's status.

        A room is complete if the bot is a member and the name is set, which comes last in the
        creation.
        """
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
    """Return the room's alias, with a hash of the secret, the bot, the user and the purpose."""
    text = f"{secret}\0{bot}\0{room.user_id}\0{room.purpose}"
    digest = sha256(text.encode()).hexdigest()[:24]
    return f"#strandline_{digest}:{bot.partition(':')[2]}"


def _state(event_type: str, **content: object) -> Json:
    return {"type": event_type, "state_key": "", "content": content}
