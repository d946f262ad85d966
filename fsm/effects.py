"""What a turn wants done outside: data until the turn has committed, then rows of the outbox."""

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
    """Say something in the room.

    Args:
        room_id: Where.
        text: Markdown. It is rendered to sanitised HTML on its way out.
        in_reply_to: The event that it answers, or None for a message of its own.
        thread: The root of the thread in which it is said.
        mention: Who is to be told of it (``m.mentions``).
        question_ref: What it says of itself, if it is a question.
        answer: The same, if it is an agent's answer.
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
    """Give a message of the bot's another text. One that can't be found stays as it is.

    Args:
        room_id: Where it stands.
        text: Markdown, the new text.
        event_id: The message, where its id is known.
        sent_as: Else the transaction id under which it was sent.
        answer: What it says of itself, if it is an agent's answer.
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
    """Set a piece of a room's state.

    Args:
        room_id: Where.
        type: The state event's type.
        content: Its content.
        state_key: Its key.
        asked_in: The room in which it was asked for, if somebody is to hear what came of it: a turn
            of kind DONE or REFUSED follows there.
    """

    room_id: RoomId
    type: str
    content: Mapping[str, Any]
    state_key: str = ""
    asked_in: RoomId | None = None


@frozen(kw_only=True)
class Invite:
    """Invite somebody. Inviting who is there already changes nothing.

    Args:
        room_id: To which room.
        user_id: Whom.
        asked_in: The room in which it was asked for, if somebody is to hear of a refusal: a turn of
            kind REFUSED follows there.
    """

    room_id: RoomId
    user_id: UserId
    asked_in: RoomId | None = None


@frozen(kw_only=True)
class NewRoom:
    """Have a room made, just one however often it is tried; a turn of kind ROOM_CREATED follows.

    Args:
        user_id: Whose it is to be.
        asked_in: The room in which it was asked for: a refusal is told there.
        purpose: What it is for, in the asking flow's own words. One user has one room for each
            purpose: a second wish finds the first one's room.
        name: What people call it.
        space_id: The Space in which it is to lie; None for a Space of its own.
        is_space: It is a Space.
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
    """Ask an agent; its answer goes to the room as the reply to ``request_id``.

    Args:
        room_id: Where the answer goes.
        agent_id: Whom to ask.
        platform_chat_id: The chat, in the platform's own terms.
        request_id: The inbound event's id, which names the answer.
        text: The question, as the person wrote it.
        language: The language of the person, for what the bot itself says of the answer.
        inbound: The event, for the thread and the sender of its answer.
        attachments: Files that go with it.
        again: The question that this is, if it is asked anew.
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
    """Handle an event, which was answered with a question back, again from the start.

    Args:
        inbound: The event.
        attempt: How often it has been handled before. It keeps the transaction ids of the
            attempts apart.
    """

    inbound: Inbound
    attempt: int


Effect = (
    Reply | Edit | React | SetState | Invite | NewRoom | JoinRoom | LeaveRoom | AskAgent | Reopen
)


ATTEMPT_ORDINALS = 1000
"""Each attempt at an event numbers what it sends from here, so that attempts can't collide."""


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
    """The transaction id of the ``ordinal``-th thing that handling ``event_id`` sends.

    The same question gives the same id in every life of the process, so that the homeserver
    recognises a repeat (Matrix client-server API, "Transaction identifiers"). The event id is
    hashed because ids may be long and hold characters that a URL path does not.
    """
    digest = urlsafe_b64encode(sha256(event_id.encode()).digest()[:18]).decode()
    return TransactionId(f"strandline.{digest}.{ordinal}")
