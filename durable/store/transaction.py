"""What a turn hands to the store, and what the store hands back: plain values."""

from collections.abc import Mapping
from typing import Generic, TypeVar

from attrs import field, frozen

from fsm.outbox import OutboxRow
from fsm.values.ids import EventId, RoomId, SyncToken, TransactionId

R = TypeVar("R")


@frozen
class Stored(Generic[R]):
    """One value as it was read.

    Args:
        value: The record, or None where there is none.
        text: What is on disk: what a commit compares, to see whether it changed.
    """

    value: R | None
    text: str | None


@frozen
class Handled:
    """An event that needs no handling any more."""

    event_id: EventId
    room_id: RoomId


@frozen
class Stream:
    """An answer that has begun to show.

    Args:
        event_id: The inbound event that it answers.
        room_id: Where it shows.
        head_event_id: The message that it grows in, once the homeserver has named it.
    """

    event_id: EventId
    room_id: RoomId
    head_event_id: EventId | None = None


@frozen
class Reopened:
    """A handled event that is to be handled again.

    Args:
        event_id: The event.
        room_id: Where it happened.
        ordinal: How often it has been handled before.
    """

    event_id: EventId
    room_id: RoomId
    ordinal: int


@frozen(kw_only=True)
class QuestionFiles:
    """A question that is to be put to an agent together with files of other events.

    Args:
        event_id: The event with the question.
        room_id: Where it was asked.
        files: The events that brought the files, in order.
    """

    event_id: EventId
    room_id: RoomId
    files: tuple[EventId, ...]


@frozen(kw_only=True)
class Parked:
    """What is set aside so that its room goes on.

    Args:
        event_id: An event whose handling failed every time; or the transaction id of a request that
            the homeserver refuses.
        room_id: The room.
        error: What went wrong.
        attempts: How often it was tried.
        parked_at_ms: When it was set aside, or stored; Unix time in milliseconds.
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
        expected: Each key that the turn read, with its text then; None where there was none.
        writes: Each key that it changes, with its new text; None deletes.
        outbox: What it owes the homeserver. A row whose transaction id is there stays as it is.
        handled: The event that is then handled. It is no longer reopened.
        joined: Further events that are handled with it.
        settles: The outbox row whose outcome this turn has dealt with: it is deleted.
        asks: Questions with files that came in other events.
        stream_begins: An answer whose first message is among ``outbox``.
        stream_ends: The event whose answer is now complete.
        reopens: Events that are to be handled again.
        closes: An event that is not to be handled again after all.
    """

    expected: Mapping[str, str | None] = field(factory=dict)
    writes: Mapping[str, str | None] = field(factory=dict)
    outbox: tuple[OutboxRow, ...] = ()
    handled: Handled | None = None
    joined: tuple[Handled, ...] = ()
    settles: TransactionId | None = None
    asks: tuple[QuestionFiles, ...] = ()
    stream_begins: Stream | None = None
    stream_ends: EventId | None = None
    reopens: tuple[Reopened, ...] = ()
    closes: EventId | None = None


@frozen
class Behind:
    """From where a room is to be read that is behind the checkpoint.

    Args:
        since: The sync token.
        is_entered: The bot came into the room after it: what is to be handled begins at its invite.
    """

    since: SyncToken
    is_entered: bool = False


@frozen(kw_only=True)
class Progress:
    """What one save makes durable, together.

    Args:
        token: The new checkpoint; None where it has not moved.
        passed: The events that now lie below it.
        memberships: The rooms that the bot joined (True) or left (False) below it.
        behind: The rooms that are behind it from now on; None for a room that has caught up.
    """

    token: SyncToken | None = None
    passed: tuple[EventId, ...] = ()
    memberships: Mapping[RoomId, bool] = field(factory=dict)
    behind: Mapping[RoomId, Behind | None] = field(factory=dict)
