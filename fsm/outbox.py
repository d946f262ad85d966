"""Rows of the outbox: requests to the homeserver, one frozen class for each kind.

A row is stored in the transaction of the turn that requests it. It is pending until the homeserver
has acknowledged the request. Rows of one room are sent in the order of their positions.
"""

from typing import Any, ClassVar

from attrs import frozen

from fsm.effects import NewRoom
from fsm.values.ids import EventId, RoomId, TransactionId, UserId

Json = dict[str, Any]


@frozen(kw_only=True)
class OutboxRow:
    """The fields that all rows have.

    Args:
        transaction_id: Its identity, the same for each retry; unique in the outbox.
        room_id: The room in whose order it is sent.
        position: The store's row number, 0 before the row is stored.
        created_at_ms: When it was stored, Unix time in milliseconds, 0 before.
        stream_of: The inbound event whose streamed answer begins with this row, if it does.
    """

    transaction_id: TransactionId
    room_id: RoomId
    position: int = 0
    created_at_ms: int = 0
    stream_of: EventId | None = None

    @property
    def kind(self) -> str:
        """The name of its class in the outbox and in the log."""
        raise NotImplementedError


@frozen(kw_only=True)
class ReportTo:
    """Where the outcome of a request is reported, in a turn of its own.

    Args:
        room_id: The room of that turn.
        user_id: Who asked for it.
        about: The event that asked for it, if there is one to reply to.
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
        if_withdrawn: For an edit of an agent's answer: the content that is sent instead if the
            question was redacted while the row was pending. None: nothing is sent then.
    """

    kind: ClassVar[str] = "send"
    event_type: str
    content: Json
    if_withdrawn: Json | None = None


@frozen(kw_only=True)
class EditRow(OutboxRow):
    """Edit one of the bot's messages whose event id was unknown when the row was written.

    Args:
        content: The edit's content, without the id of the message.
        if_withdrawn: As in ``SendRow``.
        sent_as: The transaction id under which the message was sent.
        edits: The message's event id, once it is known.
    """

    kind: ClassVar[str] = "edit"
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
        report_to: Where success or refusal is reported.
    """

    kind: ClassVar[str] = "state"
    event_type: str
    state_key: str
    content: Json
    report_to: ReportTo | None = None


@frozen(kw_only=True)
class InviteRow(OutboxRow):
    """Invite a user.

    Args:
        user_id: The user.
        report_to: Where a refusal is reported.
    """

    kind: ClassVar[str] = "invite"
    user_id: UserId
    report_to: ReportTo | None = None


@frozen(kw_only=True)
class CreateRoomRow(OutboxRow):
    """Create a room. ``room_id`` is no room here, but the name of a queue: one for each user.

    Args:
        room: The room to create.
    """

    kind: ClassVar[str] = "create"
    room: NewRoom


@frozen(kw_only=True)
class JoinRow(OutboxRow):
    """Join the room."""

    kind: ClassVar[str] = "join"


@frozen(kw_only=True)
class LeaveRow(OutboxRow):
    """Leave the room, or reject an invite to it."""

    kind: ClassVar[str] = "leave"


@frozen(kw_only=True)
class UnreadableRow(OutboxRow):
    """A stored row that can't be read: its kind is unknown or its data invalid. It is parked.

    If somebody asked for it, they are not told: their turn is named in what can't be read.

    Args:
        kind: Its kind, as stored.
        payload: Its data, as stored.
        problem: Why it can't be read.
    """

    kind: str
    payload: str
    problem: str


ReportedRow = CreateRoomRow | StateRow | InviteRow
"""Rows whose outcome can be reported in a turn of its own."""
