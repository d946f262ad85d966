"""Repairs a user's Space and chats: links in the Space, invites, requests for missing rooms."""

from attrs import evolve

from durable.flows.chats.records import chats_of, name_of, user_of
from durable.flows.chats.rooms import (
    SPACE_PURPOSE,
    PendingRooms,
    RoomRequest,
    chat_purpose,
    link_chats,
    space_request,
)
from durable.flows.room.texts import problem_of
from durable.records import GONE, ChatRecord, RoomRecord, room_key
from fsm import Turn
from fsm.turn import bot_records
from fsm.values.inbound import EffectRefused
from fsm.values.text import as_typed


async def repair(turn: Turn, pending: PendingRooms, *, with_space: bool) -> tuple[RoomRequest, ...]:
    """Invite the sender to their existing rooms, and return requests for the missing rooms.

    The existing rooms are added to the Space too. The sender is told which rooms are missing.

    Args:
        turn: The turn.
        pending: The user's pending requests. Rooms of chats that are pending or refused count as
            missing.
        with_space: Whether the user is to have a Space.

    Returns:
        The requests for the missing rooms. They are not sent yet: the caller must do that.
    """
    requests = {request.purpose: evolve(request, refused=False) for request in pending.chats}
    for chat in await _homeless(turn):
        purpose = chat_purpose(chat.chat_id)
        requests.setdefault(
            purpose, RoomRequest(purpose=purpose, name=chat.name, asked_in=turn.room_id)
        )
    if with_space and (await user_of(turn, turn.sender)).space_id is None:
        requests = {SPACE_PURPOSE: space_request(turn)} | requests
    _tell(turn, [as_typed(request.name) for request in requests.values()])
    await invite_to_all(turn)
    return tuple(requests.values())


async def invite_to_all(turn: Turn) -> None:
    """Invite the sender to their Space and all open chats, and add those chats to the Space."""
    space_id = (await user_of(turn, turn.sender)).space_id
    if space_id is not None:
        turn.invite(space_id, asked_in=turn.room_id)
    for chat in await link_chats(turn, space_id):
        turn.invite(chat.room_id, asked_in=turn.room_id)


async def explain_invite(turn: Turn) -> None:
    """Tell the user that the homeserver refused to invite them to a room, and why."""
    refusal = EffectRefused.of(turn.inbound)
    room_id = refusal.target
    room = await bot_records(turn).read(RoomRecord, room_key(room_id))
    turn.reply(
        turn.gettext(
            "I couldn't invite you to “{name}”: {problem}. If you left the room, ask one of "
            "its members to invite you.",
            name=as_typed(name_of(turn, room)) if room else room_id,
            problem=problem_of(refusal),
        )
    )


async def _homeless(turn: Turn) -> list[ChatRecord]:
    """Return the sender's open chats whose room has no record or that the bot has left."""
    found = []
    for chat in await chats_of(turn, turn.sender):
        room = await bot_records(turn).read(RoomRecord, room_key(chat.room_id))
        if not chat.archived and (room is None or room.room_type == GONE):
            found.append(chat)
    return found


def _tell(turn: Turn, missing: list[str]) -> None:
    if missing:
        turn.reply(
            turn.gettext(
                "I am recreating what is missing: {list}. I am also inviting you to your other "
                "rooms; rooms you are already in stay as they are.",
                list=", ".join(missing),
            )
        )
        return
    turn.reply(
        turn.gettext(
            "Nothing is missing. I am inviting you to your Space and your chats again; rooms "
            "you are already in stay as they are."
        )
    )
