"""Mending what a user's Space and chats have lost, without touching what is there."""

from attrs import evolve

from durable.flows.chats.records import chats_of, name_of, user_of
from durable.flows.chats.rooms import (
    SPACE_PURPOSE,
    PendingRooms,
    RoomRequest,
    chat_purpose,
    link_chats,
    space_wish,
)
from durable.flows.room.texts import problem_of
from durable.records import GONE, ChatRecord, RoomRecord, room_key
from fsm import Turn
from fsm.turn import bot_records
from fsm.values.ids import RoomId
from fsm.values.text import as_typed


async def repair(turn: Turn, plan: PendingRooms, *, with_space: bool) -> tuple[RoomRequest, ...]:
    """Link and invite to what is there, and say so; what is to be made again."""
    wishes = {wish.purpose: evolve(wish, refused=False) for wish in plan.chats}
    for chat in await _homeless(turn):
        purpose = chat_purpose(chat.chat_id)
        wishes.setdefault(
            purpose, RoomRequest(purpose=purpose, name=chat.name, asked_in=turn.room_id)
        )
    if with_space and (await user_of(turn, turn.sender)).space_id is None:
        wishes = {SPACE_PURPOSE: space_wish(turn)} | wishes
    _tell(turn, [as_typed(wish.name) for wish in wishes.values()])
    await welcome_back(turn)
    return tuple(wishes.values())


async def welcome_back(turn: Turn) -> None:
    """Link the sender's chats, and invite to all: who is in a room already stays there."""
    space_id = (await user_of(turn, turn.sender)).space_id
    if space_id is not None:
        turn.invite(space_id, asked_in=turn.room_id)
    for chat in await link_chats(turn, space_id):
        turn.invite(chat.room_id, asked_in=turn.room_id)


async def explain_invite(turn: Turn) -> None:
    """Say that the homeserver does not let the bot invite the sender to a room."""
    room_id = RoomId(str(turn.inbound.raw.get("room_id", "")))
    room = await bot_records(turn).read(RoomRecord, room_key(room_id))
    turn.reply(
        turn.gettext(
            "I couldn't invite you to “{name}”: {problem}. If you have left it, somebody who is in "
            "it has to let you in.",
            name=as_typed(name_of(turn, room)) if room else room_id,
            problem=problem_of(turn),
        )
    )


async def _homeless(turn: Turn) -> list[ChatRecord]:
    """The sender's chats that are not archived and have no room."""
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
                "I make again what is missing: {list}. I invite you to everything else; "
                "what you are in already stays as it is.",
                list=", ".join(missing),
            )
        )
        return
    turn.reply(
        turn.gettext(
            "Nothing is missing. I invite you to your Space and your chats again; what you "
            "are in already stays as it is."
        )
    )
