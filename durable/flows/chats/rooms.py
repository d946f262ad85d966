"""Requests the rooms of Spaces and chats from the homeserver, and handles each created room."""

from collections.abc import Iterable

from attrs import evolve, frozen

from durable.flows.chats.records import (
    chats_of,
    drop_room,
    ensure_chat,
    link,
    live_room,
    localpart,
    move_last_use,
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
from fsm.values.inbound import RoomCreated
from fsm.values.text import as_typed

SPACE_PURPOSE = "space"
"""The purpose of the request for a user's Space. The purpose says what the room is for."""

_CHAT_PURPOSE = "chat:"


@frozen(kw_only=True)
class RoomRequest:
    """A request for one room. It is sent to the homeserver, or waits until the Space exists.

    Args:
        purpose: What the room is for: ``space``, or ``chat:`` and the chat's id, as in ``chat:C1``.
            A user has at most one pending request for each purpose.
        name: The room's name.
        asked_in: The room in which the user is told the result.
        refused: Whether the homeserver refused to create the room; ``!repair`` tries again.
    """

    purpose: str
    name: str
    asked_in: RoomId
    refused: bool = False

    @property
    def chat_id(self) -> ChatId | None:
        """The id of the chat that the room is for; None for the Space."""
        is_chat = self.purpose.startswith(_CHAT_PURPOSE)
        return ChatId(self.purpose.removeprefix(_CHAT_PURPOSE)) if is_chat else None


@frozen
class MakeRooms:
    """The signal to request rooms from the homeserver.

    Args:
        requests: The rooms to request; may be empty if only the Space is missing.
    """

    requests: tuple[RoomRequest, ...]


@frozen
class PendingRooms:
    """One user's pending room requests: the record of the flow ``Chats``.

    Args:
        wishes: The requests, oldest first.
    """

    wishes: tuple[RoomRequest, ...] = ()  # existing databases have this name

    def find(self, purpose: str) -> RoomRequest | None:
        """Return the pending request with this purpose; None if there is none."""
        return next((request for request in self.wishes if request.purpose == purpose), None)

    def with_requests(self, requests: Iterable[RoomRequest]) -> "PendingRooms":
        """A copy with these requests added; each replaces an older one with the same purpose."""
        merged = {request.purpose: request for request in self.wishes}
        return PendingRooms(
            tuple((merged | {request.purpose: request for request in requests}).values())
        )

    def without(self, purpose: str) -> "PendingRooms":
        """A copy without the request with this purpose."""
        return PendingRooms(tuple(request for request in self.wishes if request.purpose != purpose))

    def mark_refused(self, purpose: str) -> "PendingRooms":
        """A copy with this request marked as refused by the homeserver."""
        return PendingRooms(
            tuple(evolve(w, refused=True) if w.purpose == purpose else w for w in self.wishes)
        )

    @property
    def chats(self) -> tuple[RoomRequest, ...]:
        """The pending requests for the rooms of chats, without that for the Space."""
        return tuple(request for request in self.wishes if request.chat_id is not None)


def chat_purpose(chat_id: ChatId) -> str:
    """Return the purpose of a request for the chat's room."""
    return f"{_CHAT_PURPOSE}{chat_id}"


def space_request(turn: Turn) -> RoomRequest:
    """The request for the sender's Space."""
    name = turn.gettext("{name}'s space", name=localpart(turn.sender))
    return RoomRequest(purpose=SPACE_PURPOSE, name=name, asked_in=turn.room_id)


def request_room(turn: Turn, request: RoomRequest, space_id: RoomId | None) -> None:
    """Ask the homeserver to create the room, within the Space unless ``space_id`` is None."""
    turn.make_room(
        request.purpose,
        name=request.name,
        space_id=space_id,
        is_space=request.purpose == SPACE_PURPOSE,
    )


async def settle(turn: Turn, pending: PendingRooms | None, registry: Registry) -> None:
    """Handle a created room: store it as the Space or as the chat's room, and tell the user.

    The bot leaves a room that no pending request is for.

    Args:
        turn: The turn of the inbound event ``RoomCreated``.
        pending: The user's pending requests; None if there are none.
        registry: The agents.
    """
    request = pending.find(RoomCreated.of(turn.inbound).purpose) if pending else None
    if request is None:
        await _decline_unasked(turn)
    elif request.chat_id is None:
        await _settle_space(turn, request)
        if pending and not pending.chats:  # otherwise the reply is about the chat
            _tell_of_space(turn, request)
    else:
        await _settle_chat(turn, request, request.chat_id, registry)


async def link_chats(turn: Turn, space_id: RoomId | None) -> list[ChatRecord]:
    """Add the rooms of the sender's open chats to the Space, and return these chats.

    If ``space_id`` is None, only return the chats. Chats without an open room are left out.
    """
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
    """Leave the turn's room, which no pending request is for, unless it has a record."""
    if await bot_records(turn).read(RoomRecord, room_key(turn.room_id)) is None:
        turn.leave()


async def _settle_space(turn: Turn, request: RoomRequest) -> None:
    user = await user_of(turn, turn.sender)
    bot_records(turn).save(user_key(turn.sender), evolve(user, space_id=turn.room_id))
    space = RoomRecord(room_type=SPACE, matrix_user_id=turn.sender, display_name=request.name)
    turn.trigger(Settle(space))
    turn.invite(turn.room_id, asked_in=request.asked_in)
    await link_chats(turn, turn.room_id)


def _tell_of_space(turn: Turn, request: RoomRequest) -> None:
    message = turn.gettext(
        "Your Space “{name}” is ready. Accept the invite, or [open it]({link}).",
        name=as_typed(request.name),
        link=turn.room_link(turn.room_id),
    )
    turn.say(message, room_id=request.asked_in)


async def _settle_chat(
    turn: Turn, request: RoomRequest, chat_id: ChatId, registry: Registry
) -> None:
    """Store the turn's room as the chat's first room, or as the replacement of a lost one.

    Invite the user and tell them. If the chat has got another open room meanwhile, leave this one.
    """
    user = await user_of(turn, turn.sender)
    chat = await bot_records(turn).read(ChatRecord, chat_key(turn.sender, chat_id))
    before = await bot_records(turn).read(RoomRecord, room_key(chat.room_id)) if chat else None
    alive = await _elsewhere(turn, chat, before)
    if alive is not None:
        turn.leave()
        _tell_where(turn, request, alive)
        return
    room = evolve(
        before or RoomRecord(chat_id=chat_id, matrix_user_id=turn.sender),
        room_type=CHAT,
        display_name=request.name,
        space_id=user.space_id,
    )
    room = await _routed(turn, room, user, registry)
    turn.trigger(Settle(room))
    if chat is None:
        ensure_chat(turn, room, turn.room_id)
    else:
        await _replace_room(turn, chat, user.space_id)
    link(turn, user.space_id, turn.room_id)
    turn.invite(turn.room_id, asked_in=request.asked_in)
    turn.say(_welcome(turn, room, user, registry))
    _tell_where(turn, request, turn.room_id)


async def _elsewhere(
    turn: Turn, chat: ChatRecord | None, before: RoomRecord | None
) -> RoomId | None:
    """Return the chat's open room if that is not the turn's room; else None.

    The chat may have got another room after the turn's room was requested.

    Args:
        turn: The turn.
        chat: The chat; None if it has no record yet.
        before: The record of the room that the chat has so far; None if there is none.
    """
    if chat is None or before is None or chat.room_id == turn.room_id:
        return None
    if before.room_type == CHAT:
        return chat.room_id
    return await live_room(turn, before, exclude=turn.room_id)


async def _replace_room(turn: Turn, chat: ChatRecord, space_id: RoomId | None) -> None:
    """Make the turn's room the chat's room, and delete the records of the chat's earlier room.

    Otherwise, an invite to the earlier room would reopen the chat there.
    """
    bot_records(turn).save(
        chat_key(turn.sender, chat.chat_id), evolve(chat, room_id=turn.room_id, archived=False)
    )
    if chat.room_id != turn.room_id:
        await move_last_use(turn, chat.room_id, turn.room_id)
        drop_room(turn, chat.room_id)
        unlink(turn, space_id, chat.room_id)


async def _routed(turn: Turn, room: RoomRecord, user: UserRecord, registry: Registry) -> RoomRecord:
    """Return the room's record, bound to an agent if one is known.

    A record that is bound already stays. Otherwise the room is bound to the agent that the user has
    selected, or to the only agent, with a new platform chat number.
    """
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
            "Welcome to “{name}”. Choose an agent for this chat.\n\n{agents}",
            name=as_typed(name_of(turn, room)),
            agents=agent_list(turn, registry, user),
        )
    return turn.gettext(
        "Welcome to “{name}”. **{agent}** (`{id}`) answers here. Just write.",
        name=as_typed(name_of(turn, room)),
        agent=agent.name,
        id=agent.id,
    )


def _tell_where(turn: Turn, request: RoomRequest, room_id: RoomId) -> None:
    message = turn.gettext(
        "“{name}” is ready. Accept the invite, or [open it]({link}).",
        name=as_typed(request.name),
        link=turn.room_link(room_id),
    )
    turn.say(message, room_id=request.asked_in)
