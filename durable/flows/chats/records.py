"""Reads and changes the records of a user's chats: numbers, names, rooms.

Functions that change a record have the turn's commit write the change.
"""

from attrs import evolve

from durable.records import (
    CHAT,
    ROOM_PREFIX,
    ChatRecord,
    RoomRecord,
    UsedRecord,
    UserRecord,
    chat_key,
    room_key,
    used_key,
    user_key,
)
from fsm import Turn
from fsm.turn import bot_records
from fsm.values.ids import ChatId, RoomId, UserId

MAX_NUMBER_DIGITS = 9
"""Maximum digits of the number in a chat's id, ``C1``. An id with more digits counts as 0."""

MAX_NAME_LENGTH = 100
"""Maximum characters of a chat's name; a longer one is cut."""


async def user_of(turn: Turn, user_id: UserId) -> UserRecord:
    """Return the user's record, or an empty record if none is stored."""
    return await bot_records(turn).read(UserRecord, user_key(user_id)) or UserRecord()


async def chats_of(turn: Turn, user_id: UserId) -> list[ChatRecord]:
    """Return all chats of the user, archived ones too, sorted by their numbers."""
    found = await bot_records(turn).all(ChatRecord, chat_key(user_id, ChatId("")))
    # the chats of @a:x:8008 begin like those of @a:x
    own = [chat for rest, chat in found.items() if ":" not in rest]
    return sorted(own, key=lambda chat: (_number(chat), chat.chat_id))


async def next_number(turn: Turn, user_id: UserId) -> int:
    """Issue the number of the user's next chat: 3 for the chat ``C3``."""
    user = await user_of(turn, user_id)
    taken = [_number(chat) for chat in await chats_of(turn, user_id)]
    number = max(user.next_chat_index, 1 + max(taken, default=0))
    bot_records(turn).save(user_key(user_id), evolve(user, next_chat_index=number + 1))
    return number


async def with_chat(turn: Turn, room: RoomRecord) -> RoomRecord:
    """Return the record of the turn's room, with an owner and a chat.

    If ``room`` has no owner, the sender becomes the owner. If it has no chat, a chat is created for
    the owner, and the room is added to the owner's Space.
    """
    owner = room.matrix_user_id or turn.sender
    if room.chat_id is not None:
        return evolve(room, matrix_user_id=owner, display_name=name_of(turn, room))
    number = await next_number(turn, owner)
    space_id = (await user_of(turn, owner)).space_id
    room = evolve(
        room,
        matrix_user_id=owner,
        chat_id=ChatId(f"C{number}"),
        display_name=room.display_name or turn.gettext("Chat {number}", number=number),
        space_id=space_id,
    )
    ensure_chat(turn, room, turn.room_id)
    link(turn, space_id, turn.room_id)
    return room


def ensure_chat(turn: Turn, room: RoomRecord, room_id: RoomId) -> None:
    """Write a new record for the room's chat, which replaces a stored one.

    Args:
        turn: The turn.
        room: The room's record, with an owner and a chat id.
        room_id: The id of that room.
    """
    assert room.chat_id and room.matrix_user_id  # noqa: S101, PT018  # with_chat has set both
    chat = ChatRecord(
        chat_id=room.chat_id,
        name=name_of(turn, room),
        room_id=room_id,
        created_at=turn.now.isoformat(timespec="seconds"),
    )
    bot_records(turn).save(chat_key(room.matrix_user_id, room.chat_id), chat)


async def chat_in(turn: Turn, room: RoomRecord) -> ChatRecord | None:
    """Return the record of the room's chat; None if there is no chat or no record of it."""
    if room.chat_id is None or room.matrix_user_id is None:
        return None
    return await bot_records(turn).read(ChatRecord, chat_key(room.matrix_user_id, room.chat_id))


async def move_last_use(turn: Turn, before: RoomId, to: RoomId) -> None:
    """Move the record of when an agent was last asked from room ``before`` to room ``to``."""
    used = await bot_records(turn).read(UsedRecord, used_key(before))
    if used is not None and before != to:
        bot_records(turn).save(used_key(to), used)
        bot_records(turn).save(used_key(before), None)


async def live_room(turn: Turn, room: RoomRecord, *, exclude: RoomId) -> RoomId | None:
    """Return another open room of the same owner with the same platform chat; None if none has it.

    Callers use it so that a platform chat never has two open rooms.

    Args:
        turn: The turn.
        room: The record of a room with the platform chat.
        exclude: The id of that room, which does not count as another.
    """
    if room.platform_chat_id is None or room.matrix_user_id is None:
        return None
    rooms = await bot_records(turn).all(RoomRecord, ROOM_PREFIX, owner=room.matrix_user_id)
    for room_id, other in rooms.items():
        same = (other.room_type, other.platform_chat_id) == (CHAT, room.platform_chat_id)
        if same and room_id != exclude:
            return RoomId(room_id)
    return None


def touch(turn: Turn) -> None:
    """Record that the agent of the turn's room is asked now."""
    bot_records(turn).save(
        used_key(turn.room_id), UsedRecord(at=turn.now.isoformat(timespec="seconds"))
    )


def drop_room(turn: Turn, room_id: RoomId) -> None:
    """Delete the room's record, and the record of when its agent was last asked."""
    bot_records(turn).save(room_key(room_id), None)
    bot_records(turn).save(used_key(room_id), None)


def link(turn: Turn, space_id: RoomId | None, room_id: RoomId) -> None:
    """Add the room to the Space; do nothing if ``space_id`` is None."""
    if space_id is not None:
        turn.add_to_space(space_id, room_id)


def unlink(turn: Turn, space_id: RoomId | None, room_id: RoomId) -> None:
    """Remove the room from the Space; do nothing if ``space_id`` is None."""
    if space_id is not None:
        turn.remove_from_space(space_id, room_id)


def name_of(turn: Turn, room: RoomRecord) -> str:
    """Return the display name of the room's chat: the stored name, or "Chat" and its number."""
    number = (room.chat_id or "").removeprefix("C")
    return room.display_name or turn.gettext("Chat {number}", number=number)


def name_in(text: str) -> str:
    """Return the chat's name in a user's text: on one line, cut to the maximum length."""
    return " ".join(text.split())[:MAX_NAME_LENGTH].strip()


def localpart(user_id: UserId) -> str:
    """Return the localpart of a user id: ``alice`` for ``@alice:example.org``."""
    return user_id.removeprefix("@").partition(":")[0]


def _number(chat: ChatRecord) -> int:
    digits = chat.chat_id.removeprefix("C")
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= MAX_NUMBER_DIGITS
    return int(digits) if is_number else 0
