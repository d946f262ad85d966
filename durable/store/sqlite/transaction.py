"""Writing one turn's commit, inside the transaction that its writer has begun."""

import sqlite3
from collections.abc import Sequence

from attrs import frozen

from durable.store.codec import dump
from durable.store.errors import AlreadyHandled, Conflict
from durable.store.outbox_rows import StoredRow, kind_and_payload
from durable.store.transaction import Commit, Handled, Parked, Reopened
from fsm.outbox import OutboxRow
from fsm.records import PLATFORM_CHAT_SEQ_KEY
from fsm.values.ids import EventId, RoomId, TransactionId


def apply(db: sqlite3.Connection, commit: Commit, now_ms: int) -> tuple[OutboxRow, ...]:
    """Write all of it, or raise and leave the savepoint to be undone.

    Raises:
        AlreadyHandled: The event was handled, or the row settled, before.
        Conflict: A key is not as the turn read it.
    """
    if commit.handled is not None:
        _handle(db, commit.handled)
    for joined in commit.joined:
        _handle(db, joined)
    if commit.settles is not None:
        _settle(db, commit.settles)
    for key, text in commit.expected.items():
        _compare(db, key, text)
    for key, text in commit.writes.items():
        write_value(db, key, text)
    rows = tuple(add_row(db, row, now_ms) for row in commit.outbox)
    _grow(db, commit)
    for again in commit.reopens:
        reopen(db, again)
    if commit.closes is not None:
        close(db, commit.closes)
    return rows


def _settle(db: sqlite3.Connection, transaction_id: TransactionId) -> None:
    if not db.execute("DELETE FROM outbox WHERE transaction_id = ?", (transaction_id,)).rowcount:
        raise AlreadyHandled(transaction_id)


def _handle(db: sqlite3.Connection, handled: Handled) -> None:
    db.execute("DELETE FROM asked WHERE event_id = ?", (handled.event_id,))
    if not mark_handled(
        db, handled.event_id, handled.room_id, is_below=close(db, handled.event_id)
    ):
        raise AlreadyHandled(handled.event_id)


def close(db: sqlite3.Connection, event_id: EventId) -> bool:
    """Have the event not handled again; whether its first handling was below the checkpoint."""
    row = db.execute("SELECT is_below FROM reopened WHERE event_id = ?", (event_id,)).fetchone()
    db.execute("DELETE FROM reopened WHERE event_id = ?", (event_id,))
    return row is not None and bool(row[0])


def mark_handled(
    db: sqlite3.Connection, event_id: EventId, room_id: RoomId, *, is_below: bool = False
) -> bool:
    """Remember the event as handled; whether that is news."""
    inserted = db.execute(
        "INSERT OR IGNORE INTO handled (event_id, room_id, is_below) VALUES (?, ?, ?)",
        (event_id, room_id, is_below),
    )
    return inserted.rowcount > 0


def read_value(db: sqlite3.Connection, key: str) -> str | None:
    """What is on disk under the key; bytes that are no UTF-8 come as lone surrogates."""
    row = db.execute("SELECT CAST(value AS BLOB) FROM kv WHERE key = ?", (key,)).fetchone()
    return None if row is None else row[0].decode("utf-8", "surrogateescape")


def _compare(db: sqlite3.Connection, key: str, expected: str | None) -> None:
    if read_value(db, key) != expected:
        raise Conflict(key)


def write_value(db: sqlite3.Connection, key: str, text: str | None) -> None:
    """Set the key, or delete it where the text is None."""
    if text is None:
        db.execute("DELETE FROM kv WHERE key = ?", (key,))
        return
    db.execute(
        "INSERT INTO kv (key, value) VALUES (?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, text),
    )
    if key == PLATFORM_CHAT_SEQ_KEY:
        # kept twice: were it lost from kv, a number would be issued again
        db.execute(
            "INSERT INTO meta (name, value) VALUES ('issued', CAST(? AS INTEGER))"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
            " WHERE CAST(excluded.value AS INTEGER) > CAST(value AS INTEGER)",
            (text.strip('"'),),
        )


def add_row(db: sqlite3.Connection, row: OutboxRow, now_ms: int) -> OutboxRow:
    """The stored row: a repeat of the same turn finds the one it wrote before.

    One that was set aside is owed again: what refused it, a revoked invite, say, may be over.
    """
    kind, payload = kind_and_payload(row)
    db.execute(
        "INSERT INTO outbox"
        " (transaction_id, room_id, kind, payload, stream_of, created_at_ms)"
        " VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (transaction_id) DO UPDATE SET parked_error = NULL",
        (row.transaction_id, row.room_id, kind, payload, row.stream_of, now_ms),
    )
    stored = db.execute(
        f"SELECT {ROW_COLUMNS} FROM outbox WHERE transaction_id = ?",  # noqa: S608  # a constant
        (row.transaction_id,),
    )
    return to_row(stored.fetchone())


ROW_COLUMNS = "position, transaction_id, room_id, kind, payload, stream_of, created_at_ms"
"""What ``to_row`` takes."""


def to_row(columns: tuple[int, str, str, str, str, str | None, int]) -> OutboxRow:
    """The value of an outbox row's columns."""
    return StoredRow(*columns).read()


def _grow(db: sqlite3.Connection, commit: Commit) -> None:
    for asked in commit.asks:
        db.execute(
            "INSERT INTO asked (event_id, room_id, files) VALUES (?, ?, ?)"
            " ON CONFLICT (event_id) DO UPDATE SET files = excluded.files",
            (asked.event_id, asked.room_id, dump(list(asked.files))),
        )
    begun = commit.stream_begins
    if begun is not None:
        db.execute(
            "INSERT OR IGNORE INTO stream (event_id, room_id, head_event_id) VALUES (?, ?, ?)",
            (begun.event_id, begun.room_id, begun.head_event_id),
        )
    if commit.stream_ends is not None:
        db.execute("DELETE FROM stream WHERE event_id = ?", (commit.stream_ends,))


def reopen(db: sqlite3.Connection, again: Reopened) -> None:
    """Have the event handled again."""
    db.execute(
        "INSERT INTO reopened (event_id, room_id, ordinal, is_below) VALUES (?, ?, ?,"
        " coalesce((SELECT is_below FROM handled WHERE event_id = ?), 0))"
        " ON CONFLICT (event_id) DO UPDATE SET ordinal = excluded.ordinal",
        (again.event_id, again.room_id, again.ordinal, again.event_id),
    )
    db.execute("DELETE FROM handled WHERE event_id = ?", (again.event_id,))


INVITE = "invite:"
"""What the ids of invites begin with, which stand for no event."""


@frozen(kw_only=True)
class Parking:
    """An event to set aside, and what its room is told of it."""

    event_id: EventId
    room_id: RoomId
    error: str
    attempts: int
    outbox: Sequence[OutboxRow] = ()

    def __call__(self, db: sqlite3.Connection, now_ms: int) -> tuple[OutboxRow, ...]:
        """Set it aside and mark it handled."""
        db.execute(
            "INSERT INTO parked (event_id, room_id, error, attempts, ordinal, parked_at_ms)"
            " VALUES (?, ?, ?, ?,"
            " coalesce((SELECT ordinal FROM reopened WHERE event_id = ?), 0), ?)"
            " ON CONFLICT (event_id) DO UPDATE SET error = excluded.error,"
            " attempts = excluded.attempts, parked_at_ms = excluded.parked_at_ms",
            (self.event_id, self.room_id, self.error, self.attempts, self.event_id, now_ms),
        )
        mark_handled(db, self.event_id, self.room_id, is_below=close(db, self.event_id))
        return tuple(add_row(db, row, now_ms) for row in self.outbox)


def parked(db: sqlite3.Connection) -> tuple[Parked, ...]:
    """What is set aside, events and then requests, the oldest first of each."""
    rows = db.execute(
        "SELECT event_id, room_id, error, attempts, parked_at_ms FROM parked ORDER BY position"
    ).fetchall()
    rows += db.execute(
        "SELECT transaction_id, room_id, kind || ': ' || parked_error, 1, created_at_ms"
        " FROM outbox WHERE parked_error IS NOT NULL ORDER BY position"
    ).fetchall()
    return tuple(
        Parked(event_id=event, room_id=room, error=error, attempts=attempts, parked_at_ms=at)
        for event, room, error, attempts, at in rows
    )


def retry(db: sqlite3.Connection, event_id: EventId) -> bool:
    """Have it handled again, under transaction ids of its own; whether it was set aside."""
    row = db.execute(
        "SELECT room_id, ordinal FROM parked WHERE event_id = ?", (event_id,)
    ).fetchone()
    if row is None:
        return _retry_request(db, event_id)
    if event_id.startswith(INVITE):  # the homeserver knows no event of this id: the next one counts
        db.execute("DELETE FROM handled WHERE event_id = ?", (event_id,))
        db.execute("DELETE FROM parked WHERE event_id = ?", (event_id,))
        return True
    reopen(db, Reopened(event_id, RoomId(row[0]), row[1] + 1))
    db.execute("DELETE FROM parked WHERE event_id = ?", (event_id,))
    return True


def drop(db: sqlite3.Connection, event_id: EventId) -> bool:
    """Forget it, handled as it is; whether it was set aside."""
    if not db.execute("DELETE FROM parked WHERE event_id = ?", (event_id,)).rowcount:
        return _drop_request(db, event_id)
    db.execute("DELETE FROM stream WHERE event_id = ?", (event_id,))
    return True


def _retry_request(db: sqlite3.Connection, transaction_id: str) -> bool:
    changed = db.execute(
        "UPDATE outbox SET parked_error = NULL"
        " WHERE transaction_id = ? AND parked_error IS NOT NULL",
        (transaction_id,),
    )
    return changed.rowcount > 0


def _drop_request(db: sqlite3.Connection, transaction_id: str) -> bool:
    deleted = db.execute(
        "DELETE FROM outbox WHERE transaction_id = ? AND parked_error IS NOT NULL",
        (transaction_id,),
    )
    return deleted.rowcount > 0
