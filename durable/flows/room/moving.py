"""Rooms that are lost, come back, or are replaced by others; their chats go with them."""

from attrs import evolve

from durable.flows.chats.records import chat_in, link, live_room, move_use, unlink, user_of
from durable.flows.chats.rooms import link_chats
from durable.records import CHAT, SPACE, RoomRecord, chat_key, room_key, user_key
from fsm import Turn
from fsm.values.ids import RoomId, UserId


async def lose_space(turn: Turn, space: RoomRecord) -> None:
    """The bot is no longer in a user's Space: the user has none."""
    owner = space.matrix_user_id
    if owner is None:
        return
    user = await user_of(turn, owner)
    if user.space_id == turn.room_id:
        turn.records.save(user_key(owner), evolve(user, space_id=None))


async def revive(turn: Turn, room: RoomRecord) -> RoomRecord:
    """The bot is back in a chat's room. If the chat has found another, this is a room like any."""
    chat = await chat_in(turn, room)
    has_moved = chat is not None and chat.room_id != turn.room_id
    if has_moved or await live_room(turn, room, besides=turn.room_id) is not None:
        return RoomRecord(matrix_user_id=room.matrix_user_id or turn.sender)
    if chat is not None and room.matrix_user_id is not None:
        owner = room.matrix_user_id
        turn.records.save(chat_key(owner, chat.chat_id), evolve(chat, archived=False))
        link(turn, (await user_of(turn, owner)).space_id, turn.room_id)
    return evolve(room, room_type=CHAT)


async def may_move(turn: Turn, room: RoomRecord, to: RoomId) -> bool:
    """Whether the replacement is nobody's yet: a tombstone may point at any room there is."""
    if not to.startswith("!") or to == turn.room_id:
        return False
    there = await turn.records.read(RoomRecord, room_key(to))
    is_free = there is not None and there == RoomRecord(matrix_user_id=room.matrix_user_id)
    return there is None or is_free


async def replaced_room(turn: Turn, room: RoomRecord) -> RoomRecord | None:
    """What the bot knows of the room that this one replaces, if both are the same owner's."""
    if not turn.inbound.body or room != RoomRecord(matrix_user_id=room.matrix_user_id):
        return None
    before = await turn.records.read(RoomRecord, room_key(RoomId(turn.inbound.body)))
    is_same = before is not None and before.matrix_user_id == room.matrix_user_id
    return before if is_same else None


async def move_room(turn: Turn, room: RoomRecord, to: RoomId, *, since: RoomId) -> None:
    """What the room ``since`` was, the other, in which the bot is, is from now on."""
    if since != turn.room_id:
        turn.records.save(room_key(since), None)
    if room.room_type == SPACE:
        await _move_space(turn, to, since)
        return
    await move_use(turn, since, to)
    chat = await chat_in(turn, room)
    if chat is not None and room.matrix_user_id is not None:
        owner: UserId = room.matrix_user_id
        turn.records.save(chat_key(owner, chat.chat_id), evolve(chat, room_id=to))
        unlink(turn, room.space_id, since)
        if room.room_type == CHAT:
            link(turn, room.space_id, to)
    turn.say(
        turn.t("This room replaces the old one: whoever answered there answers here."), room_id=to
    )


async def _move_space(turn: Turn, to: RoomId, since: RoomId) -> None:
    user = await user_of(turn, turn.sender)
    if user.space_id == since:
        turn.records.save(user_key(turn.sender), evolve(user, space_id=to))
        await link_chats(turn, to)
