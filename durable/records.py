"""The records that the bot stores, and the keys under which it stores them.

The records of users, rooms and chats have the JSON field names of the platform's design. The
platform is the service behind the agents. It has chats of its own, and the bot issues a number for
each: the platform chat number (``platform_chat_id``).
"""

from typing import Any

from attrs import field, frozen

from fsm.records import FLOW_PREFIX
from fsm.values.ids import AgentId, ChatId, ConversationKey, PlatformChatId, RoomId, UserId

SPACE = "space"
"""The ``room_type`` of a user's Space."""

CHAT = "chat"
"""The ``room_type`` of a room in which a chat happens."""

ARCHIVED = "archived_chat"
"""The ``room_type`` of a room whose chat is archived.

The record keeps its agent and platform chat, so that ``!load`` can restore the chat.
"""

GONE = "gone_chat"
"""The ``room_type`` of a room that had a chat and that the bot is no longer in.

The record keeps its agent and platform chat, in case the chat continues in this or another room.
"""

USER_PREFIX = "matrix_user:"
ROOM_PREFIX = "matrix_room:"
CHAT_PREFIX = "chat:"
USED_PREFIX = "room_used:"


@frozen(kw_only=True)
class UserRecord:
    """One user of the bot.

    Args:
        space_id: The user's Space; None if there is none.
        next_chat_index: The number that the user's next chat gets: 3 for the chat ``C3``.
        selected_agent_id: The agent that the user has selected, to which new chats are bound; None
            if the user has selected none.
        extra: Fields of the stored value that this version does not know.
    """

    space_id: RoomId | None = None
    next_chat_index: int = 1
    selected_agent_id: AgentId | None = None
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class RoomRecord:
    """One room, and the agent and platform chat that the room is bound to.

    Args:
        room_type: What the room is for: ``SPACE``, ``CHAT``, ``ARCHIVED`` or ``GONE``.
        chat_id: The id of the room's chat, ``C1``, ``C2`` …; None if the room has no chat.
        display_name: The room's display name; None if none is stored yet.
        matrix_user_id: The room's owner; None if the owner is unknown.
        space_id: The owner's Space when the room was added to it; None if the owner had none.
        platform_chat_id: The platform chat number of the room's chat; None if none was issued.
        agent_id: The agent that the room is bound to; None if there is none.
        extra: Fields of the stored value that this version does not know.
    """

    room_type: str = "chat"
    chat_id: ChatId | None = None
    display_name: str | None = None
    matrix_user_id: UserId | None = None
    space_id: RoomId | None = None
    platform_chat_id: PlatformChatId | None = None
    agent_id: AgentId | None = None
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class ChatRecord:
    """One chat of a user.

    Args:
        chat_id: The chat's id, ``C1``, ``C2`` …; unique among the user's chats.
        name: The chat's name, which the user sees and can change.
        room_id: The room in which the chat happens.
        archived: Whether the chat is archived: no agent answers in it.
        created_at: When the chat was created: ISO 8601, UTC.
        extra: Fields of the stored value that this version does not know.
    """

    chat_id: ChatId
    name: str
    room_id: RoomId
    archived: bool = False
    created_at: str
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class UsedRecord:
    """When an agent was last asked in a room.

    Args:
        at: The time: ISO 8601, UTC.
        extra: Fields of the stored value that this version does not know.
    """

    at: str
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Deadline:
    """When the durable state of a conversation expires.

    Args:
        at_ms: Unix time in milliseconds, of the wall clock.
        room_id: The room of the turn in which the conversation entered the state.
        sender: The sender of that turn's inbound event.
    """

    at_ms: int
    room_id: RoomId
    sender: UserId


@frozen
class SavedState:
    """A durable state: its name, and its record as a JSON object."""

    state: str
    record: dict[str, Any]


@frozen(kw_only=True)
class FlowRecord:
    """The state of one conversation of a flow.

    Args:
        state: The durable state's name.
        version: The version of the flow that wrote the record.
        record: The state's own record as a JSON object; empty if the state has no record.
        deadline: When the state expires; None if it does not.
        origin: The durable state to which the state's ``BACK`` event leads. None if that event
            leads to idle, or if the state has no ``BACK`` event.
        extra: Fields of the stored value that this version does not know.
    """

    state: str
    version: int
    record: dict[str, Any]
    deadline: Deadline | None = None
    origin: SavedState | None = None
    extra: dict[str, Any] = field(factory=dict)


@frozen
class IssuedNumber:
    """The last issued platform chat number. Its JSON is a number, not an object."""

    number: int


def user_key(user_id: UserId) -> str:
    """The key of a user's record."""
    return f"{USER_PREFIX}{user_id}"


def room_key(room_id: RoomId) -> str:
    """The key of a room's record."""
    return f"{ROOM_PREFIX}{room_id}"


def chat_key(user_id: UserId, chat_id: ChatId) -> str:
    """The key of a chat's record."""
    return f"{CHAT_PREFIX}{user_id}:{chat_id}"


def used_key(room_id: RoomId) -> str:
    """The key of the ``UsedRecord``: when a room's agent was last asked."""
    return f"{USED_PREFIX}{room_id}"


def flow_key(name: str, conversation_key: ConversationKey) -> str:
    """The key of the ``FlowRecord`` of one conversation of the flow ``name``."""
    return f"{FLOW_PREFIX}{name}:{conversation_key}"
