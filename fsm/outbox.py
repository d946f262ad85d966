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
    """Base class of the rows, with the fields that all of them have.

    Args:
        transaction_id: The identity of the row, unique in the outbox and the same for each retry.
        room_id: The room of the request. The rows with the same ``room_id`` are sent one after the
            other.
        position: The store's row number; 0 before the row is stored.
        created_at_ms: When the row was stored, Unix time in milliseconds; 0 before.
        stream_of: If the row sends the first message of an answer that is still being streamed: the
            id of the inbound event that is answered. Otherwise None.
    """

    transaction_id: TransactionId
    room_id: RoomId
    position: int = 0
    created_at_ms: int = 0
    stream_of: EventId | None = None

    @property
    def kind(self) -> str:
        """The name of the row's class in the table ``outbox`` and in the log."""
        raise NotImplementedError


@frozen(kw_only=True)
class ReportTo:
    """Says where the outcome of a request is reported, by a turn of kind DONE or REFUSED.

    Args:
        room_id: The room of that turn.
        user_id: The user who caused the request: the sender of that turn.
        about: The event to which that turn can reply; None if there is none.
    """

    room_id: RoomId
    user_id: UserId
    about: EventId | None


@frozen(kw_only=True)
class SendRow(OutboxRow):
    """Send an event.

    Args:
        event_type: The type of the event.
        content: The content of the event.
        if_withdrawn: For an edit of an agent's answer: the content that is sent instead if the
            question was redacted while the row was pending. None: nothing is sent in that case.
    """

    kind: ClassVar[str] = "send"
    event_type: str
    content: Json
    if_withdrawn: Json | None = None


@frozen(kw_only=True)
class EditRow(OutboxRow):
    """Edit one of the bot's messages whose event id was unknown when the row was written.

    Args:
        content: The content of the edit, without the event id of the edited message.
        if_withdrawn: As in ``SendRow``.
        sent_as: The transaction id under which the edited message was sent.
        edits: The event id of the edited message; None until it is known.
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
        event_type: The type of the state event.
        state_key: The state key of the state event.
        content: The content of the state event.
        report_to: Where the success or the homeserver's refusal is reported; None: nowhere.
    """

    kind: ClassVar[str] = "state"
    event_type: str
    state_key: str
    content: Json
    report_to: ReportTo | None = None


@frozen(kw_only=True)
class InviteRow(OutboxRow):
    """Invite a user to the room.

    Args:
        user_id: The user.
        report_to: Where the homeserver's refusal is reported; None: nowhere.
    """

    kind: ClassVar[str] = "invite"
    user_id: UserId
    report_to: ReportTo | None = None


@frozen(kw_only=True)
class CreateRoomRow(OutboxRow):
    """Create a room.

    ``room_id`` is not a room here. It is the same text for all rows of one user, so that the user's
    rooms are created one after the other.

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
    """Stands for a stored row whose kind is unknown or whose data is invalid. The row is parked.

    The outcome is not reported to the user who caused the request: the room and user to report to
    are part of the data that can't be read.

    Args:
        kind: The kind of the row, as stored.
        payload: The data of the row, as stored.
        problem: Why the row can't be read.
    """

    kind: str
    payload: str
    problem: str


ReportedRow = CreateRoomRow | StateRow | InviteRow
"""Rows whose outcome can be reported in a turn of its own."""
