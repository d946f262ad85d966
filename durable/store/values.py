"""The store's arguments and results, as plain values."""

from collections.abc import Mapping
from typing import Generic, TypeVar

from attrs import field, frozen

from fsm.outbox import OutboxRow
from fsm.values.ids import EventId, RoomId, SyncToken, TransactionId

R = TypeVar("R")

INVITE_ID_PREFIX = "invite:"
"""How the ids of invites begin: an invite has no event id of its own."""


@frozen
class Stored(Generic[R]):
    """One value as it was read.

    Args:
        value: The record, or None if there is none.
        text: The text on disk, which a commit compares to see whether it has changed.
    """

    value: R | None
    text: str | None


@frozen
class Handled:
    """An event that needs no more handling."""

    event_id: EventId
    room_id: RoomId


@frozen
class UnfinishedAnswer:
    """An answer in progress: its first message is pending or sent, and it is not complete.

    Args:
        event_id: The inbound event that it answers.
        room_id: The room.
        head_event_id: Its first message, once the homeserver has acknowledged that.
    """

    event_id: EventId
    room_id: RoomId
    head_event_id: EventId | None = None


@frozen
class Reopened:
    """An event to handle again.

    Args:
        event_id: The event.
        room_id: Its room.
        ordinal: How often it has been handled before.
    """

    event_id: EventId
    room_id: RoomId
    ordinal: int


@frozen(kw_only=True)
class QuestionFiles:
    """A question to an agent that has the files of other events.

    Args:
        event_id: The event with the question.
        room_id: Its room.
        files: The events with the files, in order.
    """

    event_id: EventId
    room_id: RoomId
    files: tuple[EventId, ...]


@frozen(kw_only=True)
class Parked:
    """An event or a request that failed every time.

    Args:
        event_id: The event's id, or the transaction id of a request that the homeserver refuses.
        room_id: The room.
        error: What went wrong.
        attempts: How often it was tried.
        parked_at_ms: When it was parked (an event) or stored (a request); Unix time in
            milliseconds.
    """

    event_id: EventId
    room_id: RoomId
    error: str
    attempts: int
    parked_at_ms: int


@frozen(kw_only=True)
class Commit:
    """Everything that one turn changes. It is written whole or not at all.

    Args:
        expected: Each key that the turn read, with the text it had then; None if there was none.
        writes: Each key that the turn changes, with its new text; None deletes.
        outbox: Requests for the homeserver. A row whose transaction id is stored already stays as
            it is.
        handled: The event that the turn has handled. It is no longer reopened.
        also_handled: Further events that were handled with it.
        deletes_row: The outbox row whose result this turn has handled.
        question_files: Questions with the files of other events.
        stream_begins: An answer whose first message is in ``outbox``.
        stream_ends: The event whose answer is now complete.
        reopens: Events that are to be handled again.
        cancels_reopened: An event that is not to be handled again after all.
    """

    expected: Mapping[str, str | None] = field(factory=dict)
    writes: Mapping[str, str | None] = field(factory=dict)
    outbox: tuple[OutboxRow, ...] = ()
    handled: Handled | None = None
    also_handled: tuple[Handled, ...] = ()
    deletes_row: TransactionId | None = None
    question_files: tuple[QuestionFiles, ...] = ()
    stream_begins: UnfinishedAnswer | None = None
    stream_ends: EventId | None = None
    reopens: tuple[Reopened, ...] = ()
    cancels_reopened: EventId | None = None


@frozen
class Behind:
    """Where reading begins for a room that is behind the checkpoint.

    Args:
        since: The sync token.
        is_entered: Whether the bot joined the room after that token: then reading begins at its
            invite.
    """

    since: SyncToken
    is_entered: bool = False


@frozen(kw_only=True)
class Progress:
    """The changes of one save of the checkpoint, in one transaction.

    Args:
        token: The new token; None if it has not moved.
        completed: The events that now lie below the token.
        memberships: The rooms that the bot has joined (True) or left (False) below it.
        behind: The rooms that are behind the token from now on; None for a room that has caught up.
    """

    token: SyncToken | None = None
    completed: tuple[EventId, ...] = ()
    memberships: Mapping[RoomId, bool] = field(factory=dict)
    behind: Mapping[RoomId, Behind | None] = field(factory=dict)
