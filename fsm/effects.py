"""Effects: requests that a turn makes of the outside. They become outbox rows at the commit."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from attrs import field, frozen

from fsm.values.ids import AgentId, EventId, PlatformChatId, RoomId, TransactionId, UserId
from fsm.values.inbound import Inbound
from fsm.values.messages import AnswerRef, Attachment, QuestionRef


@frozen(kw_only=True)
class Reply:
    """Send a message to the room.

    Args:
        room_id: The room.
        text: Markdown. It is rendered to sanitised HTML on its way out.
        in_reply_to: The event that it replies to; None for a message that is no reply.
        thread: The root of the thread to which it belongs.
        mention: The user that it mentions (``m.mentions``).
        question_ref: The question's reference, stored in the event's content, if it is a question.
        answer: The answer's reference, stored in the event's content, if it is an agent's answer.
    """

    room_id: RoomId
    text: str
    in_reply_to: EventId | None = None
    thread: EventId | None = None
    mention: UserId | None = None
    question_ref: QuestionRef | None = None
    answer: AnswerRef | None = None


@frozen(kw_only=True)
class Edit:
    """Edit one of the bot's messages. If the message can't be found, nothing is sent.

    Args:
        room_id: The room of the message.
        text: Markdown, the new text.
        event_id: The message, if its id is known.
        sent_as: Otherwise, the transaction id under which the message was sent.
        answer: The answer's reference, if the message is an agent's answer.
    """

    room_id: RoomId
    text: str
    event_id: EventId | None = None
    sent_as: TransactionId | None = None
    answer: AnswerRef | None = None


@frozen(kw_only=True)
class React:
    """Put an emoji on an event."""

    room_id: RoomId
    event_id: EventId
    key: str


@frozen(kw_only=True)
class SetState:
    """Send a state event to a room.

    Args:
        room_id: The room.
        type: The state event's type.
        content: Its content.
        state_key: Its key.
        asked_in: The room in which the result is reported: a turn of kind DONE or REFUSED follows
            there. None if nothing is reported.
    """

    room_id: RoomId
    type: str
    content: Mapping[str, Any]
    state_key: str = ""
    asked_in: RoomId | None = None


@frozen(kw_only=True)
class NameRoom:
    """Set the display name of a room.

    Args:
        room_id: The room.
        name: Its new name.
        asked_in: The room in which the result is reported, as in ``SetState``.
    """

    room_id: RoomId
    name: str
    asked_in: RoomId | None = None


@frozen(kw_only=True)
class AddToSpace:
    """Make a room a child of a Space; clients list it there.

    Args:
        space_id: The Space.
        room_id: The room.
    """

    space_id: RoomId
    room_id: RoomId


@frozen(kw_only=True)
class RemoveFromSpace:
    """Make a room no child of the Space any more. Nobody leaves the room.

    Args:
        space_id: The Space.
        room_id: The room.
    """

    space_id: RoomId
    room_id: RoomId


@frozen(kw_only=True)
class Invite:
    """Invite a user to a room. Does nothing if the user is already a member.

    Args:
        room_id: The room.
        user_id: The user.
        asked_in: The room in which a refusal is reported: a turn of kind REFUSED follows there.
            None if nothing is reported.
    """

    room_id: RoomId
    user_id: UserId
    asked_in: RoomId | None = None


@frozen(kw_only=True)
class NewRoom:
    """Create a room, only one however often it is retried. A turn of kind ROOM_CREATED follows.

    Args:
        user_id: The user for whom it is created.
        asked_in: The room in which it was requested. A refusal is reported there.
        purpose: The flow's own key for the room. A user has one room for each purpose: a second
            request finds the first one's room.
        name: The room's display name.
        space_id: The Space that contains it; None if it has no parent.
        is_space: Whether the new room is a Space.
    """

    user_id: UserId
    asked_in: RoomId
    purpose: str
    name: str
    space_id: RoomId | None = None
    is_space: bool = False


@frozen(kw_only=True)
class JoinRoom:
    """Accept an invite."""

    room_id: RoomId


@frozen(kw_only=True)
class LeaveRoom:
    """Leave a room, or decline an invite to it."""

    room_id: RoomId


@frozen(kw_only=True)
class AskAgent:
    """Ask an agent. Its answer is sent to the room as a reply to ``request_id``.

    Args:
        room_id: The room to which the answer is sent.
        agent_id: The agent.
        platform_chat_id: The platform's number for the chat.
        request_id: The inbound event's id, which names the answer.
        text: The question, as the person wrote it.
        language: The person's language, for the bot's own sentences about the answer.
        inbound: The event that asks: gives the answer's thread and the asking user.
        attachments: Files that belong to the question.
        again: The earlier event of the same question, if it is asked again.
    """

    room_id: RoomId
    agent_id: AgentId
    platform_chat_id: PlatformChatId
    request_id: EventId
    text: str
    inbound: Inbound = field(eq=False, repr=False)
    attachments: tuple[Attachment, ...] = ()
    again: Inbound | None = field(default=None, eq=False, repr=False)
    language: str = "en"


@frozen(kw_only=True)
class Reopen:
    """Handle an event again from the start, after the bot had replied to it with a question.

    Args:
        inbound: The event.
        attempt: How often it has been handled before. Each attempt has its own transaction ids.
    """

    inbound: Inbound
    attempt: int


Effect = (
    Reply
    | Edit
    | React
    | SetState
    | NameRoom
    | AddToSpace
    | RemoveFromSpace
    | Invite
    | NewRoom
    | JoinRoom
    | LeaveRoom
    | AskAgent
    | Reopen
)


ATTEMPT_ORDINALS = 1000
"""The number of transaction ids that are reserved for each attempt at an event."""


def effect_id(event_id: EventId, attempt: int, index: int, part: int = 0) -> TransactionId:
    """The transaction id of one effect of a turn.

    Args:
        event_id: The inbound event.
        attempt: How often it was handled before.
        index: The effect's place among all effects of the turn, from 0.
        part: A long text is sent in several parts, from 0.
    """
    ordinal = attempt * ATTEMPT_ORDINALS + index
    return transaction_id(event_id, f"{ordinal}.{part}" if part else ordinal)


def transaction_id(event_id: EventId, ordinal: int | str) -> TransactionId:
    """The transaction id of the ``ordinal``-th request that handling ``event_id`` sends.

    The same arguments give the same id after a restart, so that the homeserver recognises a
    repeated request (Matrix client-server API, "Transaction identifiers"). The event id is hashed
    because ids may be long and contain characters that a URL path does not allow.
    """
    digest = urlsafe_b64encode(sha256(event_id.encode()).digest()[:18]).decode()
    return TransactionId(f"strandline.{digest}.{ordinal}")
