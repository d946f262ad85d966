"""Lists chats, and restores an archived chat: in its own room, the turn's room or a new room."""

from datetime import datetime

from attrs import evolve

from durable.flows.chats.records import (
    chats_of,
    drop_room,
    link,
    live_room,
    move_last_use,
    unlink,
    user_of,
)
from durable.flows.chats.rooms import RoomRequest, chat_purpose
from durable.flows.signals import Settle
from durable.records import (
    CHAT,
    GONE,
    ChatRecord,
    RoomRecord,
    UsedRecord,
    chat_key,
    room_key,
    used_key,
)
from fsm import Registry, Turn
from fsm.turn import bot_records
from fsm.values.ids import RoomId
from fsm.values.messages import Choice, Choices
from fsm.values.signals import LoadChat, OfferChats
from fsm.values.text import answered, as_typed, number_in


async def offer_chats(turn: Turn, registry: Registry) -> None:
    """Ask the sender which archived chat to restore, or restore the one that the command names.

    Without archived chats, tell the sender that there are none.
    """
    archived = [chat for chat in await chats_of(turn, turn.sender) if chat.archived]
    if turn.argument:
        _load_named(turn, archived)
    elif not archived:
        turn.reply(
            turn.gettext(
                "You have no archived chats. `{prefix}chats` lists the others.", prefix=turn.prefix
            )
        )
    else:
        items = [
            Choice(c.chat_id, as_typed(c.name), await detail(turn, c, registry)) for c in archived
        ]
        turn.trigger(OfferChats(Choices(tuple(items))))


async def load_chat(turn: Turn) -> RoomRequest | None:
    """Restore the chat that the signal ``LoadChat`` names.

    The sender is told where the chat continues, or that it does not exist or is not archived.

    Returns:
        A request for a new room if the chat needs one: its own room is gone, and the turn's room
        can't be used. The caller must send the request. None if no new room is needed.
    """
    chat_id = turn.signal(LoadChat).chat_id
    chat = await bot_records(turn).read(ChatRecord, chat_key(turn.sender, chat_id))
    if chat is None:
        turn.reply(
            turn.gettext(
                "This chat no longer exists. `{prefix}chats` lists your chats.",
                prefix=turn.prefix,
            )
        )
        return None
    room = await bot_records(turn).read(RoomRecord, room_key(chat.room_id))
    alive = await _alive(turn, chat, room)
    if alive is not None:
        turn.reply(
            turn.gettext(
                "“{name}” is not archived: [open it]({link}).",
                name=as_typed(chat.name),
                link=turn.room_link(alive),
            )
        )
        return None
    if room is not None and room.room_type != GONE:
        await _reopen(turn, chat, room)
        return None
    if await _take_this_room(turn, chat, room):
        return None
    return RoomRequest(purpose=chat_purpose(chat.chat_id), name=chat.name, asked_in=turn.room_id)


def _load_named(turn: Turn, archived: list[ChatRecord]) -> None:
    """Restore the archived chat that the command names by its number in the list or its id.

    If it names none, tell the sender so.
    """
    wanted, place = answered(turn.argument), number_in(turn.argument)
    named = [
        chat
        for number, chat in enumerate(archived, start=1)
        if number == place or answered(chat.chat_id) == wanted
    ]
    if named:
        turn.trigger(LoadChat(named[0].chat_id))
    else:
        turn.reply(
            turn.gettext(
                "You have no archived chat named “{named}”. `{prefix}load` lists your archived "
                "chats.",
                named=as_typed(turn.argument[:60]),
                prefix=turn.prefix,
            )
        )


async def _alive(turn: Turn, chat: ChatRecord, room: RoomRecord | None) -> RoomId | None:
    """Return the open room in which the chat, or its platform chat, already happens; else None.

    Args:
        turn: The turn.
        chat: The chat.
        room: The record of the chat's room; None if there is none.
    """
    if room is None:
        return None
    if room.room_type == CHAT and not chat.archived:
        return chat.room_id
    return await live_room(turn, room, exclude=chat.room_id)


async def _reopen(turn: Turn, chat: ChatRecord, room: RoomRecord) -> None:
    """Reopen the archived chat in its own room, and invite the sender to that room."""
    space_id = (await user_of(turn, turn.sender)).space_id
    bot_records(turn).save(
        room_key(chat.room_id), evolve(room, room_type=CHAT, space_id=space_id or room.space_id)
    )
    bot_records(turn).save(chat_key(turn.sender, chat.chat_id), evolve(chat, archived=False))
    link(turn, space_id, chat.room_id)
    turn.invite(chat.room_id, asked_in=turn.room_id)
    turn.reply(
        turn.gettext(
            "“{name}” is restored. Accept the invite if you had left the room, or [open "
            "it]({link}).",
            name=as_typed(chat.name),
            link=turn.room_link(chat.room_id),
        )
    )


async def _take_this_room(turn: Turn, chat: ChatRecord, before: RoomRecord | None) -> bool:
    """Continue the chat in the turn's room, if the sender owns that room and it has no chat.

    Args:
        turn: The turn.
        chat: The chat, whose own room is gone.
        before: The record of the chat's own room; None if there is none.

    Returns:
        Whether the chat continues in the turn's room. False: nothing was changed.
    """
    here = await bot_records(turn).read(RoomRecord, room_key(turn.room_id))
    is_free = here is not None and (here.room_type, here.chat_id, here.platform_chat_id) == (
        CHAT,
        None,
        None,
    )
    if here is None or not is_free or here.matrix_user_id != turn.sender:
        return False
    space_id = (await user_of(turn, turn.sender)).space_id
    room = evolve(
        before or here,
        room_type=CHAT,
        chat_id=chat.chat_id,
        display_name=chat.name,
        matrix_user_id=turn.sender,
        space_id=space_id,
    )
    await move_last_use(turn, chat.room_id, turn.room_id)
    drop_room(turn, chat.room_id)
    unlink(turn, space_id, chat.room_id)
    bot_records(turn).save(
        chat_key(turn.sender, chat.chat_id), evolve(chat, room_id=turn.room_id, archived=False)
    )
    link(turn, space_id, turn.room_id)
    turn.reply(
        turn.gettext(
            "“{name}” continues in this room, because its own room is gone.",
            name=as_typed(chat.name),
        )
    )
    turn.trigger(Settle(room))
    return True


async def list_chats(turn: Turn, registry: Registry) -> str:
    """Return a message with the sender's open chats, numbered, and how many are archived."""
    chats = await chats_of(turn, turn.sender)
    live = [chat for chat in chats if not chat.archived]
    archived = len(chats) - len(live)
    lines = [
        f"{number}. {await _line(turn, chat, registry)}" for number, chat in enumerate(live, 1)
    ]
    paragraphs = [
        turn.gettext("Your chats:\n\n{list}", list="\n".join(lines))
        if lines
        else turn.gettext(
            "You have no chats yet. To start one, send `{prefix}new`.", prefix=turn.prefix
        )
    ]
    if archived:
        paragraphs.append(
            turn.ngettext(
                "{count} more chat is archived. To restore it, send `{prefix}load`.",
                "{count} more chats are archived. To restore one, send `{prefix}load`.",
                archived,
                prefix=turn.prefix,
            )
        )
    return "\n\n".join(paragraphs)


async def detail(turn: Turn, chat: ChatRecord, registry: Registry) -> str:
    """Return a text about the chat: its agent, and when the agent was last asked."""
    room = await bot_records(turn).read(RoomRecord, room_key(chat.room_id))
    return turn.gettext(
        "{agent}, {used}",
        agent=_agent(turn, room, registry),
        used=await _last_use(turn, chat),
    )


async def _line(turn: Turn, chat: ChatRecord, registry: Registry) -> str:
    room = await bot_records(turn).read(RoomRecord, room_key(chat.room_id))
    if room is None or room.room_type == GONE:
        return turn.gettext(
            "**{name}**: its room is gone; `{prefix}repair` creates a new one",
            name=as_typed(chat.name),
            prefix=turn.prefix,
        )
    return turn.gettext(
        "**{name}** ([open it]({link})): {agent}, {used}",
        name=as_typed(chat.name),
        link=turn.room_link(chat.room_id),
        agent=_agent(turn, room, registry),
        used=await _last_use(turn, chat),
    )


def _agent(turn: Turn, room: RoomRecord | None, registry: Registry) -> str:
    if room is None or room.agent_id is None:
        return turn.gettext("no agent yet")
    agent = registry.get(room.agent_id)
    return agent.name if agent else turn.gettext("`{id}`, no longer available", id=room.agent_id)


async def _last_use(turn: Turn, chat: ChatRecord) -> str:
    used = await bot_records(turn).read(UsedRecord, used_key(chat.room_id))
    if used is None:
        return turn.gettext("not used yet")
    return turn.gettext("last used {moment}", moment=_moment(turn, used.at))


def _moment(turn: Turn, at: str) -> str:
    try:
        return turn.translator.moment(datetime.fromisoformat(at))
    except ValueError:  # written by hand
        return at
