"""The stored records, with the field names of the platform's design."""

from typing import Any

from attrs import field, frozen

from fsm.records import FLOW_PREFIX
from fsm.values.ids import AgentId, ChatId, ConversationKey, PlatformChatId, RoomId, UserId

SPACE = "space"
"""The ``room_type`` of a user's Space."""

CHAT = "chat"
"""The ``room_type`` of a room in which a chat happens."""

ARCHIVED = "archived_chat"
"""The ``room_type`` of a room whose chat is archived. It keeps its binding, for ``!load``."""

GONE = "gone_chat"
"""The ``room_type`` of a room that the bot has left. It keeps its binding."""

USER_PREFIX = "matrix_user:"
ROOM_PREFIX = "matrix_room:"
CHAT_PREFIX = "chat:"
USED_PREFIX = "room_used:"


@frozen(kw_only=True)
class UserRecord:
    """One user of the surface.

    Args:
        space_id: The user's Space.
        next_chat_index: The number that the user's next chat gets.
        selected_agent_id: The selected agent, for new bindings of rooms.
        extra: Fields of the stored value that this version does not know.
    """

    space_id: RoomId | None = None
    next_chat_index: int = 1
    selected_agent_id: AgentId | None = None
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class RoomRecord:
    """One room of the surface, and the agent and platform chat that it is bound to.

    Args:
        room_type: What the room is for.
        chat_id: Its chat's number in its user's Space.
        display_name: Its display name.
        matrix_user_id: The room's owner.
        space_id: The Space that contains it.
        platform_chat_id: The platform's number of this chat.
        agent_id: The agent that answers here.
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
        chat_id: Its number in the user's Space.
        name: What people call it.
        room_id: The room in which it happens.
        archived: Whether it is archived: it gets no more answers.
        created_at: ISO 8601, UTC.
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
        at: ISO 8601, UTC.
        extra: Fields of the stored value that this version does not know.
    """

    at: str
    extra: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Deadline:
    """The deadline of a conversation's durable state.

    Args:
        at_ms: Unix time in milliseconds, of the wall clock.
        room_id: The room in which the state was entered.
        sender: The user who caused that.
    """

    at_ms: int
    room_id: RoomId
    sender: UserId


@frozen
class SavedState:
    """A durable state and its record, as JSON."""

    state: str
    record: dict[str, Any]


@frozen(kw_only=True)
class FlowRecord:
    """The state of one conversation of a flow.

    Args:
        state: The durable state's name.
        version: The version of the flow that wrote it.
        record: The state's own record, as JSON.
        deadline: When the state expires, if it does.
        origin: The durable state to which its ``BACK`` event leads, if it has one.
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
    """The last issued platform chat number; stored as a bare JSON number."""

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
    """The key of the time at which a room's agent was last asked."""
    return f"{USED_PREFIX}{room_id}"


def flow_key(name: str, conversation_key: ConversationKey) -> str:
    """The key of a flow's conversation."""
    return f"{FLOW_PREFIX}{name}:{conversation_key}"
