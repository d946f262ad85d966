"""Checks claims about a room against the state of the rooms: replacement, predecessor, inviter.

A tombstone can name any room, and the stripped state of an invite is chosen by the inviter's
homeserver.
"""

import structlog

from fsm.values.ids import RoomId
from fsm.values.inbound import EventKind, Inbound
from matrix.api import fields
from matrix.api.errors import Refused
from matrix.api.fields import is_room_id, mapping
from matrix.api.homeserver import Homeserver
from matrix.inbound.parse import is_own_invite

_log = structlog.get_logger(__name__)


async def enter_replacement(
    homeserver: Homeserver, room_id: RoomId, to: RoomId, *, stays: bool
) -> bool:
    """Join the replacement of a room, and return whether the replacement confirms that it is one.

    A room confirms it by naming ``room_id`` as its predecessor. The bot leaves a room that does
    not, unless ``stays`` is true or the bot was invited to that room. The result is also False if
    the bot can't join.

    Args:
        homeserver: The homeserver.
        room_id: The room with the tombstone.
        to: The room that the tombstone names.
        stays: Whether to stay in ``to`` in any case, because the bot was in it before.
    """
    if not is_room_id(to) or to == room_id:
        _log.warning("a tombstone that names no other room is not followed", room_id=room_id)
        return False
    try:
        await homeserver.join(to)
        is_so = await _predecessor(homeserver, to) == room_id
        invite = None if is_so or stays else await invite_of(homeserver, to)
    except Refused as refused:  # the bot can still be invited later
        _log.warning(
            "a room that replaces another can't be entered", room_id=room_id, problem=str(refused)
        )
        return False
    if not is_so:
        _log.warning(
            "a tombstone is not followed: the replacement does not confirm it",
            room_id=room_id,
            to=to,
        )
        if not stays and invite is None:
            await homeserver.leave(to)
    return is_so


async def confirmed_predecessor(homeserver: Homeserver, room_id: RoomId) -> RoomId | None:
    """Return the room that ``room_id`` replaces, if the tombstone of that older room confirms it.

    Returns:
        None if there is no older room, or if it does not confirm it or can't be read.
    """
    try:
        before = await _predecessor(homeserver, room_id)
        if before is None or not is_room_id(before):
            return None
        tombstone = await homeserver.rooms.state(before, "m.room.tombstone")
    except Refused:
        return None
    return before if mapping(tombstone).get("replacement_room") == room_id else None


async def invite_of(homeserver: Homeserver, room_id: RoomId) -> Inbound | None:
    """Return the invite that led to the bot's current membership, from the room's state.

    Returns:
        None if the bot was not invited, or if the invite can't be read.
    """
    try:
        joined = mapping(await homeserver.rooms.own_membership(room_id))
    except Refused:
        return None
    before = fields.event_id(fields.fields(joined, "unsigned"), "replaces_state")
    if before is None:
        return None
    invite = mapping(await homeserver.event(room_id, before))
    sender = fields.user_id(invite, "sender")
    if sender is None or not is_own_invite(invite, homeserver.user_id):
        return None
    return Inbound(
        event_id=before, room_id=room_id, sender=sender, kind=EventKind.INVITED, raw=invite
    )


async def _predecessor(homeserver: Homeserver, room_id: RoomId) -> RoomId | None:
    create = mapping(await homeserver.rooms.state(room_id, "m.room.create"))
    before = mapping(create.get("predecessor")).get("room_id")
    return RoomId(before) if isinstance(before, str) else None
