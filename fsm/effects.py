"""What a turn wants done outside: data until the turn has committed, then rows of the outbox."""

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

from attrs import frozen

from fsm.ids import AgentId, EventId, PlatformChatId, RoomId, TransactionId
from fsm.inbound import Inbound


@frozen(kw_only=True)
class Reply:
    """Say something in the room.

    Args:
        room_id: Where.
        text: Markdown. It is rendered to sanitised HTML on its way out.
        in_reply_to: The event that it answers, or None for a message of its own.
    """

    room_id: RoomId
    text: str
    in_reply_to: EventId | None = None


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
        request_id: The inbound event's id: the idempotency key that the agent is given.
        text: The question, as the person wrote it.
    """

    room_id: RoomId
    agent_id: AgentId
    platform_chat_id: PlatformChatId
    request_id: EventId
    text: str


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


Effect = Reply | JoinRoom | LeaveRoom | AskAgent | Reopen


@frozen(kw_only=True)
class OutboxRow:
    """One request to the homeserver that is owed until it has been acknowledged.

    Args:
        transaction_id: Its identity, however often it is tried; unique in the outbox.
        room_id: The room whose order it keeps: rows of one room leave in ``position`` order.
        kind: ``send`` (payload ``{"type": event type, "content": event content}``),
            ``join`` or ``leave`` (empty payload).
        payload: JSON object.
        position: The store's row number, 0 before the row is stored.
        created_at_ms: When it was stored, Unix time in milliseconds, 0 before.
        stream_of: The inbound event whose growing answer this row begins, if it does.
    """

    transaction_id: TransactionId
    room_id: RoomId
    kind: str
    payload: dict[str, Any]
    position: int = 0
    created_at_ms: int = 0
    stream_of: EventId | None = None


def transaction_id(event_id: EventId, ordinal: int | str) -> TransactionId:
    """The transaction id of the ``ordinal``-th thing that handling ``event_id`` sends.

    The same question gives the same id in every life of the process, so that the homeserver
    recognises a repeat (Matrix client-server API, "Transaction identifiers"). The event id is
    hashed because ids may be long and hold characters that a URL path does not.
    """
    digest = urlsafe_b64encode(sha256(event_id.encode()).digest()[:18]).decode()
    return TransactionId(f"strandline.{digest}.{ordinal}")
