"""What one side says of another is asked of that other side, before anything is built on it.

A tombstone may name any room, and the stripped state of an invite is what its sender's homeserver
likes to say. The room itself knows.
"""

import structlog

from fsm.ids import EventId, RoomId, UserId
from matrix.errors import Refused
from matrix.fields import is_room_id, mapping
from matrix.homeserver import Homeserver

_log = structlog.get_logger(__name__)


async def enter_replacement(
    homeserver: Homeserver, room_id: RoomId, to: RoomId, *, stays: bool
) -> bool:
    """Enter a room that is said to replace another; whether it says so itself.

    Args:
        homeserver: Where both rooms are.
        room_id: The room with the tombstone.
        to: The room that the tombstone names.
        stays: The bot belongs there already, so that it is not left whatever it says.
    """
    if not is_room_id(to) or to == room_id:
        _log.warning("a tombstone that names no other room is not followed", room_id=room_id)
        return False
    try:
        await homeserver.join(to)
        is_so = await _predecessor(homeserver, to) == room_id
        inviter = None if is_so or stays else await inviter_of(homeserver, to)
    except Refused as refused:  # an invite may follow, and be accepted as any is
        _log.warning(
            "a room that replaces another can't be entered", room_id=room_id, problem=str(refused)
        )
        return False
    if not is_so:
        _log.warning("a tombstone is not followed: its room denies it", room_id=room_id, to=to)
        if not stays and inviter is None:
            await homeserver.leave(to)
    return is_so


async def replaced_by(homeserver: Homeserver, room_id: RoomId) -> RoomId | None:
    """The room that this one replaces, if that room's tombstone says so too."""
    try:
        before = await _predecessor(homeserver, room_id)
        if before is None or not is_room_id(before):
            return None
        tombstone = await homeserver.rooms.state(before, "m.room.tombstone")
    except Refused:
        return None
    return before if mapping(tombstone).get("replacement_room") == room_id else None


async def inviter_of(homeserver: Homeserver, room_id: RoomId) -> UserId | None:
    """Who invited the bot into a room that it is in, as the room has it; None if nobody did."""
    joined = await homeserver.rooms.own_join(room_id)
    unsigned = mapping(mapping(joined).get("unsigned"))
    before = unsigned.get("replaces_state")
    if not isinstance(before, str):
        return None
    invite = mapping(await homeserver.event(room_id, EventId(before)))
    sender = invite.get("sender")
    is_invite = mapping(invite.get("content")).get("membership") == "invite"
    return UserId(sender) if is_invite and isinstance(sender, str) else None


async def _predecessor(homeserver: Homeserver, room_id: RoomId) -> RoomId | None:
    create = mapping(await homeserver.rooms.state(room_id, "m.room.create"))
    before = mapping(create.get("predecessor")).get("room_id")
    return RoomId(before) if isinstance(before, str) else None
