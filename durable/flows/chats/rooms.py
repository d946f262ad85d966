"""Rooms that were asked for, once they are there: each gets its place, its people and its words."""

from collections.abc import Iterable

from attrs import evolve, frozen

from durable.flows.chats.records import (
    address,
    chats_of,
    drop_room,
    enter,
    link,
    live_room,
    localpart,
    move_use,
    name_of,
    unlink,
    user_of,
)
from durable.flows.signals import Settle
from durable.flows.user_routing import agent_list
from durable.records import (
    CHAT,
    SPACE,
    ChatRecord,
    RoomRecord,
    UserRecord,
    chat_key,
    room_key,
    user_key,
)
from fsm import Registry, Turn
from fsm.turn import bot_records
from fsm.values.ids import ChatId, RoomId
from fsm.values.text import as_typed

SPACE_PURPOSE = "space"
"""What a user's Space is asked for as. There is one for each user."""

_CHAT_PURPOSE = "chat:"


@frozen(kw_only=True)
class RoomRequest:
    """One room that is asked for, or will be once there is a Space for it.

    Args:
        purpose: ``space``, or ``chat:C1``: one room of each.
        name: What people are to call it.
        asked_in: Where they are told what became of it.
        refused: The homeserver would not make it; ``!repair`` asks again.
    """

    purpose: str
    name: str
    asked_in: RoomId
    refused: bool = False

    @property
    def chat_id(self) -> ChatId | None:
        """The chat for which the room is; None for the Space."""
        is_chat = self.purpose.startswith(_CHAT_PURPOSE)
        return ChatId(self.purpose.removeprefix(_CHAT_PURPOSE)) if is_chat else None


@frozen
class MakeRooms:
    """The signal to ask for rooms.

    Args:
        wishes: What each room is for.
    """

    wishes: tuple[RoomRequest, ...]


@frozen
class PendingRooms:
    """The rooms that are being made for one user, in the order in which they were asked for."""

    wishes: tuple[RoomRequest, ...] = ()

    def find(self, purpose: str) -> RoomRequest | None:
        """The wish for this purpose, if it is open."""
        return next((wish for wish in self.wishes if wish.purpose == purpose), None)

    def having(self, wishes: Iterable[RoomRequest]) -> "PendingRooms":
        """The plan with these, each in the place of an older one for the same purpose."""
        merged = {wish.purpose: wish for wish in self.wishes}
        return PendingRooms(tuple((merged | {wish.purpose: wish for wish in wishes}).values()))

    def without(self, purpose: str) -> "PendingRooms":
        """What is left when this one is settled."""
        return PendingRooms(tuple(wish for wish in self.wishes if wish.purpose != purpose))

    def refusing(self, purpose: str) -> "PendingRooms":
        """The plan once the homeserver has refused this one."""
        return PendingRooms(
            tuple(evolve(w, refused=True) if w.purpose == purpose else w for w in self.wishes)
        )

    @property
    def chats(self) -> tuple[RoomRequest, ...]:
        """All but the Space."""
        return tuple(wish for wish in self.wishes if wish.chat_id is not None)


def chat_purpose(chat_id: ChatId) -> str:
    """What a chat's room is asked for as."""
    return f"{_CHAT_PURPOSE}{chat_id}"


def space_wish(turn: Turn) -> RoomRequest:
    """The sender's Space, asked for in this room."""
    name = turn.gettext("{name}'s space", name=localpart(turn.sender))
    return RoomRequest(purpose=SPACE_PURPOSE, name=name, asked_in=turn.room_id)


def ask_for(turn: Turn, wish: RoomRequest, space_id: RoomId | None) -> None:
    """Have the room made."""
    turn.make_room(
        wish.purpose, name=wish.name, space_id=space_id, is_space=wish.purpose == SPACE_PURPOSE
    )


async def settle(turn: Turn, plan: PendingRooms | None, registry: Registry) -> None:
    """This turn's room was made: do what it was made for."""
    wish = plan.find(turn.inbound.body) if plan else None
    if wish is None:
        await _decline_unasked(turn)
    elif wish.chat_id is None:
        await _settle_space(turn, wish)
        if plan and not plan.chats:  # else they hear of the chat
            _tell_of_space(turn, wish)
    else:
        await _settle_chat(turn, wish, wish.chat_id, registry)


async def link_chats(turn: Turn, space_id: RoomId | None) -> list[ChatRecord]:
    """Have the Space, if there is one, show all the sender's chats that have a room; which."""
    shown = []
    for chat in await chats_of(turn, turn.sender):
        room = await bot_records(turn).read(RoomRecord, room_key(chat.room_id))
        if room is None or room.room_type != CHAT:
            continue
        link(turn, space_id, chat.room_id)
        if space_id is not None and room.space_id != space_id:
            bot_records(turn).save(room_key(chat.room_id), evolve(room, space_id=space_id))
        shown.append(chat)
    return shown


async def _decline_unasked(turn: Turn) -> None:
    """A room that nobody waits for any more is left; one that has its place, is where it was."""
    if await bot_records(turn).read(RoomRecord, room_key(turn.room_id)) is None:
        turn.leave()


async def _settle_space(turn: Turn, wish: RoomRequest) -> None:
    user = await user_of(turn, turn.sender)
    bot_records(turn).save(user_key(turn.sender), evolve(user, space_id=turn.room_id))
    space = RoomRecord(room_type=SPACE, matrix_user_id=turn.sender, display_name=wish.name)
    turn.trigger(Settle(space))
    turn.invite(turn.room_id, asked_in=wish.asked_in)
    await link_chats(turn, turn.room_id)


def _tell_of_space(turn: Turn, wish: RoomRequest) -> None:
    told = turn.gettext(
        "Your Space “{name}” is ready: accept its invite, or [open it]({link}).",
        name=as_typed(wish.name),
        link=address(turn, turn.room_id),
    )
    turn.say(told, room_id=wish.asked_in)


async def _settle_chat(turn: Turn, wish: RoomRequest, chat_id: ChatId, registry: Registry) -> None:
    """Give the chat its room: its first one, or another in the place of one that is gone."""
    user = await user_of(turn, turn.sender)
    chat = await bot_records(turn).read(ChatRecord, chat_key(turn.sender, chat_id))
    before = await bot_records(turn).read(RoomRecord, room_key(chat.room_id)) if chat else None
    alive = await _elsewhere(turn, chat, before)
    if alive is not None:
        turn.leave()
        _tell_where(turn, wish, alive)
        return
    room = evolve(
        before or RoomRecord(chat_id=chat_id, matrix_user_id=turn.sender),
        room_type=CHAT,
        display_name=wish.name,
        space_id=user.space_id,
    )
    room = await _routed(turn, room, user, registry)
    turn.trigger(Settle(room))
    if chat is None:
        enter(turn, room, turn.room_id)
    else:
        await _replace_room(turn, chat, user.space_id)
    link(turn, user.space_id, turn.room_id)
    turn.invite(turn.room_id, asked_in=wish.asked_in)
    turn.say(_welcome(turn, room, user, registry))
    _tell_where(turn, wish, turn.room_id)


async def _elsewhere(
    turn: Turn, chat: ChatRecord | None, before: RoomRecord | None
) -> RoomId | None:
    """Where the chat is alive, if it came back while this room was being made."""
    if chat is None or before is None or chat.room_id == turn.room_id:
        return None
    if before.room_type == CHAT:
        return chat.room_id
    return await live_room(turn, before, besides=turn.room_id)


async def _replace_room(turn: Turn, chat: ChatRecord, space_id: RoomId | None) -> None:
    """The chat's earlier room is forgotten: an invite to it must not bring a second one to life."""
    bot_records(turn).save(
        chat_key(turn.sender, chat.chat_id), evolve(chat, room_id=turn.room_id, archived=False)
    )
    if chat.room_id != turn.room_id:
        await move_use(turn, chat.room_id, turn.room_id)
        drop_room(turn, chat.room_id)
        unlink(turn, space_id, chat.room_id)


async def _routed(turn: Turn, room: RoomRecord, user: UserRecord, registry: Registry) -> RoomRecord:
    """The room bound to its user's agent at once, if it is not bound and the agent is clear."""
    if room.agent_id is not None and room.platform_chat_id is not None:
        return room
    agent = registry.get(user.selected_agent_id) or registry.only
    if agent is None:
        return room
    number = await bot_records(turn).next_platform_chat_id()
    return evolve(room, agent_id=agent.id, platform_chat_id=number)


def _welcome(turn: Turn, room: RoomRecord, user: UserRecord, registry: Registry) -> str:
    agent = registry.get(room.agent_id)
    if agent is None:
        return turn.gettext(
            "Welcome to “{name}”. Choose who is to answer here.\n\n{agents}",
            name=as_typed(name_of(turn, room)),
            agents=agent_list(turn, registry, user),
        )
    return turn.gettext(
        "Welcome to “{name}”. **{agent}** (`{id}`) answers here: just write.",
        name=as_typed(name_of(turn, room)),
        agent=agent.name,
        id=agent.id,
    )


def _tell_where(turn: Turn, wish: RoomRequest, room_id: RoomId) -> None:
    told = turn.gettext(
        "“{name}” is ready: accept its invite, or [open it]({link}).",
        name=as_typed(wish.name),
        link=address(turn, room_id),
    )
    turn.say(told, room_id=wish.asked_in)
