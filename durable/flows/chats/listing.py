"""Chats as they are listed to their user."""

from datetime import datetime

from durable.flows.chats.records import address, chats_of
from durable.records import GONE, ChatRecord, RoomRecord, UsedRecord, room_key, used_key
from fsm import Registry, Turn
from fsm.values.text import as_typed


async def list_chats(turn: Turn, registry: Registry) -> str:
    """The sender's chats, numbered, and how many archived ones there are besides."""
    chats = await chats_of(turn, turn.sender)
    live = [chat for chat in chats if not chat.archived]
    archived = len(chats) - len(live)
    lines = [
        f"{number}. {await _line(turn, chat, registry)}" for number, chat in enumerate(live, 1)
    ]
    told = [
        turn.t("Your chats:\n\n{list}", list="\n".join(lines))
        if lines
        else turn.t("You have no chats yet. `{prefix}new` begins one.", prefix=turn.prefix)
    ]
    if archived:
        told.append(
            turn.n(
                "Besides, {count} chat is archived: `{prefix}load` brings it back.",
                "Besides, {count} chats are archived: `{prefix}load` brings one back.",
                archived,
                prefix=turn.prefix,
            )
        )
    return "\n\n".join(told)


async def detail(turn: Turn, chat: ChatRecord, registry: Registry) -> str:
    """The chat's agent and last use."""
    room = await turn.records.read(RoomRecord, room_key(chat.room_id))
    return turn.t(
        "{agent}, {used}",
        agent=_agent(turn, room, registry),
        used=await _last_use(turn, chat),
    )


async def _line(turn: Turn, chat: ChatRecord, registry: Registry) -> str:
    room = await turn.records.read(RoomRecord, room_key(chat.room_id))
    if room is None or room.room_type == GONE:
        return turn.t(
            "**{name}**: its room is gone, `{prefix}repair` makes it again",
            name=as_typed(chat.name),
            prefix=turn.prefix,
        )
    return turn.t(
        "**{name}** ([open it]({link})): {agent}, {used}",
        name=as_typed(chat.name),
        link=address(turn, chat.room_id),
        agent=_agent(turn, room, registry),
        used=await _last_use(turn, chat),
    )


def _agent(turn: Turn, room: RoomRecord | None, registry: Registry) -> str:
    if room is None or room.agent_id is None:
        return turn.t("no agent yet")
    agent = registry.get(room.agent_id)
    return agent.name if agent else turn.t("`{id}`, not available any more", id=room.agent_id)


async def _last_use(turn: Turn, chat: ChatRecord) -> str:
    used = await turn.records.read(UsedRecord, used_key(chat.room_id))
    if used is None:
        return turn.t("not used yet")
    return turn.t("last used {moment}", moment=_moment(turn, used.at))


def _moment(turn: Turn, at: str) -> str:
    try:
        return turn.tongue.moment(datetime.fromisoformat(at))
    except ValueError:  # written by hand
        return at
