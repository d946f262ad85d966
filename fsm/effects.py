"""Effects: what a turn requests of the homeserver, of an agent or of the engine.

At the commit, the effects become outbox rows, except ``AskAgent`` and ``Reopen``, which the engine
carries out itself.
"""

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
        text: The message, Markdown. It is sent with a rendering to sanitised HTML.
        in_reply_to: The event that the message replies to; None for a message that is no reply.
        thread: The root of the thread to which the message belongs; None if it is in no thread.
        mention: The user that the message mentions (``m.mentions``); None for nobody.
        question_ref: If the message is a flow's question, the reference that is stored in its
            content; otherwise None.
        answer: If the message is an agent's answer, the reference that is stored in its content;
            otherwise None.
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
        text: The new text, Markdown.
        event_id: The event id of the message; None if it is not known.
        sent_as: The transaction id under which the message was sent, if ``event_id`` is None.
        answer: If the message is an agent's answer, the reference that is stored in its content;
            otherwise None.
    """

    room_id: RoomId
    text: str
    event_id: EventId | None = None
    sent_as: TransactionId | None = None
    answer: AnswerRef | None = None


@frozen(kw_only=True)
class React:
    """React with an emoji to an event.

    Args:
        room_id: The room of the event.
        event_id: The event.
        key: The emoji.
    """

    room_id: RoomId
    event_id: EventId
    key: str


@frozen(kw_only=True)
class SetState:
    """Send a state event to a room.

    Args:
        room_id: The room.
        type: The type of the state event.
        content: The content of the state event.
        state_key: The state key of the state event.
        asked_in: The room in which the result is reported, by a turn of kind DONE or REFUSED. None:
            the result is not reported.
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
    """Remove a room from the children of a Space. Nobody leaves the room.

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
    """Create a room. A retry of the request never creates a second room.

    A turn of kind ROOM_CREATED follows in the new room; if the homeserver refuses the request, a
    turn of kind ROOM_FAILED follows in the room ``asked_in``.

    Args:
        user_id: The user for whom the room is created.
        asked_in: The room in which the new room was requested.
        purpose: The flow's own key for the room. A user has one room for each purpose: a second
            request with the same purpose gets the room of the first.
        name: The room's display name.
        space_id: The Space of which the room becomes a child; None for no Space.
        is_space: Whether the new room is itself a Space.
    """

    user_id: UserId
    asked_in: RoomId
    purpose: str
    name: str
    space_id: RoomId | None = None
    is_space: bool = False


@frozen(kw_only=True)
class JoinRoom:
    """Join a room, for example to accept an invite."""

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
        platform_chat_id: The platform chat to which the question belongs.
        request_id: The id of the inbound event. The transaction ids of the answer are derived from
            it.
        text: The question, as the person wrote it.
        language: The code of the person's language, for the sentences that the bot itself adds to
            the answer.
        inbound: The event that asks. The answer goes to its thread and mentions its sender.
        attachments: Files that belong to the question.
        again: The event that asked the same question before, if the question is asked again; None
            for a new question.
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
    """Handle an earlier event again, in a turn of its own after this one.

    Args:
        inbound: The event, to which the bot replied with a question that is now answered.
        attempt: How many times the event has been handled before. Each attempt has its own
            transaction ids.
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
"""The number of transaction ids that are reserved for each time that an event is handled."""


def effect_id(event_id: EventId, attempt: int, index: int, part: int = 0) -> TransactionId:
    """Return the transaction id of one effect of a turn.

    Args:
        event_id: The inbound event.
        attempt: How many times the inbound event was handled before.
        index: The index of the effect among all effects of the turn, from 0.
        part: The index of the message, from 0, if a long text is sent in several messages.
    """
    ordinal = attempt * ATTEMPT_ORDINALS + index
    return transaction_id(event_id, f"{ordinal}.{part}" if part else ordinal)


def transaction_id(event_id: EventId, ordinal: int | str) -> TransactionId:
    """Return the transaction id of one request that is sent for the inbound event ``event_id``.

    ``ordinal`` distinguishes the requests for one event. The same arguments give the same id after
    a restart, so that the homeserver recognises a repeated request (Matrix client-server API,
    "Transaction identifiers"). The event id is hashed because ids may be long and contain
    characters that a URL path does not allow.
    """
    digest = urlsafe_b64encode(sha256(event_id.encode()).digest()[:18]).decode()
    return TransactionId(f"strandline.{digest}.{ordinal}")
