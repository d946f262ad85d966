"""Erases a user: deletes their records, and makes the bot leave their rooms."""

from durable.flows.chats.records import chats_of, drop_room
from durable.flows.signals import ForgetLanguage
from durable.records import GONE, ROOM_PREFIX, RoomRecord, chat_key, room_key, user_key
from fsm import Turn
from fsm.turn import bot_records
from fsm.values.ids import RoomId


def explain_erasure(turn: Turn) -> None:
    """Tell the sender that their records are deleted, and what the bot can't delete."""
    turn.reply(
        turn.gettext(
            "I have deleted everything I stored about you, and I am leaving your rooms. I "
            "can't delete the messages on the homeserver, or what the agents remember: ask the "
            "people who run them. You can invite me again at any time."
        )
    )


async def erase_user(turn: Turn) -> None:
    """Delete the sender's records, and leave the sender's rooms, the turn's room last.

    The bot stays in the turn's room if that room is not the sender's. The engine deletes the record
    of the calling flow. The signal ``ForgetLanguage`` makes the flow ``Language`` delete the chosen
    language.
    """
    user_id, here = turn.sender, turn.room_id
    rooms = await bot_records(turn).all(RoomRecord, ROOM_PREFIX, owner=user_id)
    for chat in await chats_of(turn, user_id):
        room = await bot_records(turn).read(RoomRecord, room_key(chat.room_id))
        if room is not None and room.matrix_user_id is None:
            rooms[chat.room_id] = room
        bot_records(turn).save(chat_key(user_id, chat.chat_id), None)
    for room_id in rooms:
        drop_room(turn, RoomId(room_id))
    bot_records(turn).save(user_key(user_id), None)
    turn.trigger(ForgetLanguage())
    for room_id, room in rooms.items():
        if room_id != here and room.room_type != GONE:
            turn.leave(RoomId(room_id))
    present = await bot_records(turn).read(RoomRecord, room_key(here))
    if present is None:  # the room was the sender's, or had no owner
        turn.leave()
