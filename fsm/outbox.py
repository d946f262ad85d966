"""Rows of the outbox: single requests to the homeserver, a frozen class for each kind.

A row is stored with the turn that asks for it, and is pending until the homeserver has acknowledged
the request. Rows of one room leave in the order of their positions.
"""

from typing import Any

from attrs import frozen

from fsm.effects import NewRoom
from fsm.values.ids import EventId, RoomId, TransactionId, UserId

Json = dict[str, Any]


@frozen(kw_only=True)
class OutboxRow:
    """What all rows have.

    Args:
        transaction_id: Its identity, however often it is tried; unique in the outbox.
        room_id: The room whose order it keeps.
        position: The store's row number, 0 before the row is stored.
        created_at_ms: When it was stored, Unix time in milliseconds, 0 before.
        stream_of: The inbound event whose growing answer this row begins, if it does.
    """

    transaction_id: TransactionId
    room_id: RoomId
    position: int = 0
    created_at_ms: int = 0
    stream_of: EventId | None = None


@frozen(kw_only=True)
class ReportTo:
    """Who hears the outcome of a request, in a turn of its own.

    Args:
        room_id: The room of that turn.
        user_id: Who asked for it.
        about: The event with which it was asked for, if there is one to reply to.
    """

    room_id: RoomId
    user_id: UserId
    about: EventId | None


@frozen(kw_only=True)
class SendRow(OutboxRow):
    """Send an event.

    Args:
        event_type: Its type.
        content: Its content.
        if_withdrawn: For an edit of an agent's answer: the content that leaves instead if the
            question was redacted while the row waited. None: then nothing leaves.
    """

    event_type: str
    content: Json
    if_withdrawn: Json | None = None


@frozen(kw_only=True)
class EditRow(OutboxRow):
    """Edit a message of the bot's whose event id was not known when the row was written.

    Args:
        content: The edit's content, without the id of the message.
        if_withdrawn: As in ``SendRow``.
        sent_as: The transaction id under which the message was sent.
        edits: The message, once the homeserver has named it.
    """

    content: Json
    if_withdrawn: Json | None = None
    sent_as: TransactionId
    edits: EventId | None = None


@frozen(kw_only=True)
class StateRow(OutboxRow):
    """Send a state event.

    Args:
        event_type: Its type.
        state_key: Its key.
        content: Its content.
        report_to: Who hears that it is set, or refused.
    """

    event_type: str
    state_key: str
    content: Json
    report_to: ReportTo | None = None


@frozen(kw_only=True)
class InviteRow(OutboxRow):
    """Invite somebody.

    Args:
        user_id: Whom.
        report_to: Who hears of a refusal.
    """

    user_id: UserId
    report_to: ReportTo | None = None


@frozen(kw_only=True)
class CreateRoomRow(OutboxRow):
    """Create a room. ``room_id`` names no room, but its place in an order: one for each user.

    Args:
        room: What it is to be.
    """

    room: NewRoom


@frozen(kw_only=True)
class JoinRow(OutboxRow):
    """Join the room."""


@frozen(kw_only=True)
class LeaveRow(OutboxRow):
    """Leave the room, or reject an invite to it."""


@frozen(kw_only=True)
class UnreadableRow(OutboxRow):
    """A stored row that can't be read: of a kind that is not known, or broken. It is parked.

    Args:
        kind: Its kind, as stored.
        payload: Its data, as stored.
        problem: Why it can't be read.
    """

    kind: str
    payload: str
    problem: str


ReportedRow = CreateRoomRow | StateRow | InviteRow
"""Rows whose outcome somebody may want to hear, in a turn of its own."""
