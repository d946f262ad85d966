"""The frozen classes that methods of the store take and return."""

from collections.abc import Mapping
from typing import Generic, TypeVar

from attrs import field, frozen

from fsm.outbox import OutboxRow
from fsm.values.ids import EventId, RoomId, SyncToken, TransactionId

R = TypeVar("R")

INVITE_ID_PREFIX = "invite:"
"""The prefix of the ids that the bot makes for invites, because an invite has no event id."""


@frozen
class Stored(Generic[R]):
    """One stored value, as it was read.

    Args:
        value: The decoded record; None if there is none.
        text: The stored text; None if there is none. A commit compares it with the text that is
            stored then, to detect a change.
    """

    value: R | None
    text: str | None


@frozen
class Handled:
    """A handled event: the bot ignores it when the homeserver sends it again.

    Args:
        event_id: The event.
        room_id: The event's room.
    """

    event_id: EventId
    room_id: RoomId


@frozen
class UnfinishedAnswer:
    """An agent's answer whose first message is pending or sent, and which is not complete.

    Args:
        event_id: The inbound event with the question.
        room_id: The room of the question and the answer.
        head_event_id: The event id of the answer's first message; None until the homeserver has
            acknowledged that message.
    """

    event_id: EventId
    room_id: RoomId
    head_event_id: EventId | None = None


@frozen
class Reopened:
    """An event that the bot must handle again.

    Args:
        event_id: The event.
        room_id: The event's room.
        ordinal: The number of this attempt: 1 the first time that the event is handled again.
    """

    event_id: EventId
    room_id: RoomId
    ordinal: int


@frozen(kw_only=True)
class QuestionFiles:
    """The files that a question to an agent has besides those of its own event.

    Args:
        event_id: The event with the question.
        room_id: The room of the question and the files.
        files: The events with the files, in the order of the files.
    """

    event_id: EventId
    room_id: RoomId
    files: tuple[EventId, ...]


@frozen(kw_only=True)
class Parked:
    """A parked event or a parked request.

    Args:
        event_id: The event's id, or the request's transaction id.
        room_id: The room of the event or request.
        error: The error of the last attempt; for a request, after the request's kind.
        attempts: How often the bot has tried to handle the event; 1 for a request.
        parked_at_ms: When the event was parked, or when the request was stored; Unix time in
            milliseconds.
    """

    event_id: EventId
    room_id: RoomId
    error: str
    attempts: int
    parked_at_ms: int


@frozen(kw_only=True)
class Commit:
    """Everything that one turn changes in the store. All of it is written, or nothing.

    Args:
        expected: Each key that the turn has read, with the text that was read; None if there was
            none. If another text is stored now, the commit raises ``Conflict``.
        writes: Each key that the turn changes, with its new text; None deletes the key.
        outbox: Rows to add to the outbox. If a row with the same transaction id is stored already,
            that row is kept instead; if it was parked, it is pending again.
        handled: The event to mark as handled, and to remove from the reopened events; None if the
            turn completes no event, as when an agent is asked and the answer is still to come.
        also_handled: Further events to mark as handled: messages that were answered together with
            ``handled``.
        deletes_row: The transaction id of the outbox row to delete, because the turn has handled
            its result; None if the turn handles no such result.
        question_files: The files of other events that the turn's questions have.
        stream_begins: An unfinished answer whose first message is in ``outbox``; None if none
            begins.
        stream_ends: The inbound event whose answer is now complete; None if no answer is completed.
        reopens: Events that the bot must handle again.
        cancels_reopened: An event that the bot need not handle again any more; None if there is
            none.
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
    """Where reading must begin in a room that is behind the checkpoint.

    Args:
        since: The sync token from which the room's events are read.
        is_entered: Whether the bot joined the room after ``since``. Then the events to handle begin
            at the invite of the bot.
    """

    since: SyncToken
    is_entered: bool = False


@frozen(kw_only=True)
class Progress:
    """The changes to the sync position that one call of ``CheckpointStore.save`` writes.

    Args:
        token: The new sync token; None if the token stays the same.
        completed: Handled events that a sync from the new token does not return again, so that the
            store need not remember them for long.
        memberships: The rooms that the bot has joined (True) or left (False), as of the new token.
        behind: The rooms of which events from before the new token must still be read, each with
            the place where reading must begin; None for a room of which nothing is missing any
            more.
    """

    token: SyncToken | None = None
    completed: tuple[EventId, ...] = ()
    memberships: Mapping[RoomId, bool] = field(factory=dict)
    behind: Mapping[RoomId, Behind | None] = field(factory=dict)
