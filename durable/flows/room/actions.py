"""What ``RoomRouting`` does to a room's chat: rename, rebind, archive or move it."""

from attrs import evolve

from durable.flows.chats.records import (
    chat_in,
    ensure_chat,
    link,
    live_room,
    move_last_use,
    name_in,
    name_of,
    unlink,
    user_of,
    with_chat,
)
from durable.flows.chats.rooms import link_chats
from durable.flows.room.texts import problem_of
from durable.flows.signals import RebindRoom
from durable.flows.user_routing import agent_list, no_such_agent
from durable.records import (
    ARCHIVED,
    CHAT,
    SPACE,
    RoomRecord,
    UserRecord,
    chat_key,
    room_key,
    user_key,
)
from fsm import AgentEntry, Registry, Turn
from fsm.turn import bot_records
from fsm.values.ids import RoomId, UserId
from fsm.values.inbound import EffectDone, EffectRefused
from fsm.values.signals import Release
from fsm.values.text import as_typed

OWNER = "owner"
MENTION = "mention"
EVERYONE = "everyone"
"""``OWNER``, ``MENTION``, ``EVERYONE``: the values of ``respond_to``, a setting.

The setting says which texts the bot answers in a room of more than two people: the owner's, those
that mention the bot, or all.
"""


def ask_for_name(turn: Turn) -> None:
    """Ask the homeserver to give the room the name in the command's argument.

    A later turn handles the homeserver's response. If the argument is empty, nothing is requested,
    and the sender is told how to use the command.
    """
    name = name_in(turn.argument)
    if name:
        turn.name_room(name, asked_in=turn.room_id)
    else:
        turn.reply(turn.gettext("Add the new name: `{prefix}rename NAME`.", prefix=turn.prefix))


async def take_name(turn: Turn, room: RoomRecord) -> RoomRecord:
    """Store the name that the homeserver has set for the room as the chat's name; tell the sender.

    Returns:
        The room's record with the new name.
    """
    name = _new_name(turn)
    chat = await chat_in(turn, room)
    if chat is not None and room.matrix_user_id is not None:
        bot_records(turn).save(chat_key(room.matrix_user_id, chat.chat_id), evolve(chat, name=name))
    turn.reply(turn.gettext("This chat is now called “{name}”.", name=as_typed(name)))
    return evolve(room, display_name=name)


def explain_name(turn: Turn) -> None:
    """Tell the sender of ``!rename`` that the homeserver refused the new name, and why."""
    turn.reply(
        turn.gettext(
            "I couldn't rename this chat to “{name}”: {problem}. Give me permission to change "
            "the room name, then send `{prefix}rename` again.",
            name=as_typed(_new_name(turn)),
            problem=problem_of(EffectRefused.of(turn.inbound)),
            prefix=turn.prefix,
        )
    )


def _new_name(turn: Turn) -> str:
    assert isinstance(turn.inbound, EffectDone | EffectRefused)  # noqa: S101  # it is about a name
    return turn.inbound.room_name or ""


def rebind_question(turn: Turn, room: RoomRecord, agent: AgentEntry) -> str:
    """Return the question by which the sender confirms that ``agent`` shall answer in the room."""
    return turn.gettext(
        "Let **{agent}** (`{id}`) answer in “{name}”? It starts a new conversation and won't "
        "know what was said before.",
        agent=agent.name,
        id=agent.id,
        name=as_typed(name_of(turn, room)),
    )


async def bind_anew(turn: Turn, room: RoomRecord) -> RoomRecord:
    """Bind the room to the agent of the signal ``RebindRoom``, with a new platform chat number.

    Tell the sender, and trigger the handling of held messages.

    Returns:
        The room's changed record.
    """
    agent = turn.signal(RebindRoom).agent
    number = await bot_records(turn).next_platform_chat_id()
    turn.reply(
        turn.gettext(
            "**{agent}** (`{id}`) now answers here, platform chat {number}.",
            agent=agent.name,
            id=agent.id,
            number=number,
        )
    )
    turn.trigger(Release())
    room = await with_chat(turn, room)
    return evolve(room, agent_id=agent.id, platform_chat_id=number)


def archive_question(turn: Turn, room: RoomRecord) -> str:
    """Return the question by which the sender confirms that the room's chat is archived."""
    return turn.gettext(
        "Archive “{name}”? This room will get no more answers.", name=as_typed(name_of(turn, room))
    )


async def close(turn: Turn, room: RoomRecord) -> RoomRecord:
    """Archive the room's chat: mark its record, remove the room from the Space, tell the sender.

    Returns:
        The room's changed record.
    """
    room = await with_chat(turn, room)
    chat = await chat_in(turn, room)
    if chat is None:
        ensure_chat(turn, room, turn.room_id)
        chat = await chat_in(turn, room)
    assert chat and room.matrix_user_id  # noqa: S101, PT018  # it has a chat now
    key = chat_key(room.matrix_user_id, chat.chat_id)
    bot_records(turn).save(key, evolve(chat, archived=True))
    unlink(turn, room.space_id, turn.room_id)
    turn.reply(
        turn.gettext(
            "“{name}” is archived. `{prefix}load` restores it; `{prefix}new` starts a new chat.",
            name=as_typed(room.display_name),
            prefix=turn.prefix,
        )
    )
    return evolve(room, room_type=ARCHIVED)


async def rebind_usage(turn: Turn, registry: Registry) -> str:
    """Return a message on how to use ``!rebind``, with the list of agents.

    If the command names an unknown agent, the message quotes the name.
    """
    user = await bot_records(turn).read(UserRecord, user_key(turn.sender))
    agents = turn.gettext(
        "{agents}\n\nTo change the agent of this chat, send `{prefix}rebind NUMBER`.",
        agents=agent_list(turn, registry, user),
        prefix=turn.prefix,
    )
    return no_such_agent(turn, agents) if turn.argument else agents


async def lose_space(turn: Turn, space: RoomRecord) -> None:
    """Remove the turn's room, which the bot has left, from its owner's record if it was the Space.

    Args:
        turn: The turn.
        space: The record of the turn's room, a Space or any other room.
    """
    owner = space.matrix_user_id
    if owner is None:
        return
    user = await user_of(turn, owner)
    if user.space_id == turn.room_id:
        bot_records(turn).save(user_key(owner), evolve(user, space_id=None))


async def revive(turn: Turn, room: RoomRecord) -> RoomRecord:
    """Reopen the chat of a room to which the bot has returned, and return the room's record.

    If another room has the chat now, the chat is not touched, and an empty record is returned.
    """
    chat = await chat_in(turn, room)
    has_moved = chat is not None and chat.room_id != turn.room_id
    if has_moved or await live_room(turn, room, exclude=turn.room_id) is not None:
        return RoomRecord(matrix_user_id=room.matrix_user_id or turn.sender)
    if chat is not None and room.matrix_user_id is not None:
        owner = room.matrix_user_id
        bot_records(turn).save(chat_key(owner, chat.chat_id), evolve(chat, archived=False))
        link(turn, (await user_of(turn, owner)).space_id, turn.room_id)
    return evolve(room, room_type=CHAT)


async def may_move(turn: Turn, room: RoomRecord, to: RoomId) -> bool:
    """Return whether the chat of the turn's room may move to the room that its tombstone names.

    A tombstone can name any room. ``to`` must be another room, without a record or with a record
    that has the same owner and nothing else.
    """
    if not to.startswith("!") or to == turn.room_id:
        return False
    there = await bot_records(turn).read(RoomRecord, room_key(to))
    is_free = there is not None and there == RoomRecord(matrix_user_id=room.matrix_user_id)
    return there is None or is_free


async def replaced_room(turn: Turn, room: RoomRecord, since: RoomId) -> RoomRecord | None:
    """Return the record of the room ``since``, which the turn's room replaces.

    Return None if the record of the turn's room has more than an owner, if ``since`` has no record,
    or if the two rooms have different owners.
    """
    if room != RoomRecord(matrix_user_id=room.matrix_user_id):
        return None
    before = await bot_records(turn).read(RoomRecord, room_key(since))
    is_same = before is not None and before.matrix_user_id == room.matrix_user_id
    return before if is_same else None


async def move_room(turn: Turn, room: RoomRecord, to: RoomId, *, since: RoomId) -> None:
    """Give the chat or Space of the room ``since`` to the room ``to``, and say so in ``to``.

    For a Space, nothing is said; the sender's chats are added to the new Space.

    Args:
        turn: The turn.
        room: The record of ``since``.
        to: The new room, which the bot has joined or joins in this turn.
        since: The old room. Its record is deleted, unless it is the turn's room: the engine deletes
            the record of that room when the flow enters idle.
    """
    if since != turn.room_id:
        bot_records(turn).save(room_key(since), None)
    if room.room_type == SPACE:
        await _move_space(turn, to, since)
        return
    await move_last_use(turn, since, to)
    chat = await chat_in(turn, room)
    if chat is not None and room.matrix_user_id is not None:
        owner: UserId = room.matrix_user_id
        bot_records(turn).save(chat_key(owner, chat.chat_id), evolve(chat, room_id=to))
        unlink(turn, room.space_id, since)
        if room.room_type == CHAT:
            link(turn, room.space_id, to)
    turn.say(
        turn.gettext("This room replaces the old one. The same agent answers here."),
        room_id=to,
    )


async def _move_space(turn: Turn, to: RoomId, since: RoomId) -> None:
    user = await user_of(turn, turn.sender)
    if user.space_id == since:
        bot_records(turn).save(user_key(turn.sender), evolve(user, space_id=to))
        await link_chats(turn, to)


def is_owners(turn: Turn) -> bool:
    """Whether the sender owns the room, or its owner is unknown."""
    room = bot_records(turn).find(RoomRecord, room_key(turn.room_id))
    return room is None or room.matrix_user_id in (None, turn.sender)


def is_addressed(turn: Turn, respond_to: str) -> bool:
    """Return whether the bot answers the turn's event.

    Args:
        turn: The turn.
        respond_to: ``owner``: the bot answers only the owner, see ``is_owners``. ``mention``: in
            rooms of more than two, the bot answers only events that mention it; in a room of two,
            those and all of the owner's. ``everyone``: the bot answers every event.
    """
    if respond_to == EVERYONE:
        return True
    if respond_to == MENTION and (turn.inbound.is_group or turn.inbound.mentions_bot):
        return turn.inbound.mentions_bot
    return is_owners(turn)
