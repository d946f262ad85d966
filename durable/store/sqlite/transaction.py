"""Writes the commit of one turn, within the transaction that the ``Writer`` has begun."""

import sqlite3

from durable.store.codec import dump
from durable.store.errors import AlreadyHandled, Conflict
from durable.store.sqlite.meta import record_issued
from durable.store.sqlite.outbox import add_row
from durable.store.values import Commit, Handled, Reopened
from fsm.outbox import OutboxRow
from fsm.records import PLATFORM_CHAT_SEQ_KEY
from fsm.values.ids import EventId, RoomId, TransactionId


def apply(db: sqlite3.Connection, commit: Commit, now_ms: int) -> tuple[OutboxRow, ...]:
    """Write everything in ``commit``, and return the stored rows of ``commit.outbox``.

    If it raises, the ``Writer`` rolls back.

    Args:
        db: The writing connection, in a transaction.
        commit: What to write.
        now_ms: The current Unix time in milliseconds.

    Raises:
        AlreadyHandled: An event was handled before, or the outbox row to delete does not exist.
        Conflict: A stored text differs from the expected one.
    """
    if commit.handled is not None:
        _handle(db, commit.handled)
    for handled in commit.also_handled:
        _handle(db, handled)
    if commit.deletes_row is not None:
        _delete_row(db, commit.deletes_row)
    for key, text in commit.expected.items():
        _compare(db, key, text)
    for key, text in commit.writes.items():
        _write_value(db, key, text)
    rows = tuple(add_row(db, row, now_ms) for row in commit.outbox)
    _write_answers(db, commit)
    for again in commit.reopens:
        reopen(db, again)
    if commit.cancels_reopened is not None:
        cancel_reopened(db, commit.cancels_reopened)
    return rows


def _handle(db: sqlite3.Connection, handled: Handled) -> None:
    db.execute("DELETE FROM asked WHERE event_id = ?", (handled.event_id,))
    if not mark_handled(db, handled.event_id, handled.room_id):
        raise AlreadyHandled(handled.event_id)


def mark_handled(db: sqlite3.Connection, event_id: EventId, room_id: RoomId) -> bool:
    """Add the event to the table ``handled``, and remove it from the table ``reopened``.

    Returns:
        True if the event was added; False if it was in ``handled`` before.
    """
    is_below = cancel_reopened(db, event_id)
    inserted = db.execute(
        "INSERT OR IGNORE INTO handled (event_id, room_id, is_below) VALUES (?, ?, ?)",
        (event_id, room_id, is_below),
    )
    return inserted.rowcount > 0


def cancel_reopened(db: sqlite3.Connection, event_id: EventId) -> bool:
    """Remove an event from the table ``reopened``, so that the bot does not handle it again.

    Returns:
        Whether the event was in the table, and came before the checkpoint: then no sync returns it
        again.
    """
    row = db.execute("SELECT is_below FROM reopened WHERE event_id = ?", (event_id,)).fetchone()
    db.execute("DELETE FROM reopened WHERE event_id = ?", (event_id,))
    return row is not None and bool(row[0])


def _delete_row(db: sqlite3.Connection, transaction_id: TransactionId) -> None:
    if not db.execute("DELETE FROM outbox WHERE transaction_id = ?", (transaction_id,)).rowcount:
        raise AlreadyHandled(transaction_id)


def _compare(db: sqlite3.Connection, key: str, expected: str | None) -> None:
    if read_value(db, key) != expected:
        raise Conflict(key)


def read_value(db: sqlite3.Connection, key: str) -> str | None:
    """Return the text under the key; None if there is none.

    Bytes that are not UTF-8 become lone surrogates.
    """
    row = db.execute("SELECT CAST(value AS BLOB) FROM kv WHERE key = ?", (key,)).fetchone()
    return None if row is None else row[0].decode("utf-8", "surrogateescape")


def _write_value(db: sqlite3.Connection, key: str, text: str | None) -> None:
    if text is None:
        db.execute("DELETE FROM kv WHERE key = ?", (key,))
        return
    db.execute(
        "INSERT INTO kv (key, value) VALUES (?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, text),
    )
    if key == PLATFORM_CHAT_SEQ_KEY:
        # kept twice: if it were lost from kv, a number would be issued again
        record_issued(db, text.strip('"'))


def _write_answers(db: sqlite3.Connection, commit: Commit) -> None:
    for question in commit.question_files:
        db.execute(
            "INSERT INTO asked (event_id, room_id, files) VALUES (?, ?, ?)"
            " ON CONFLICT (event_id) DO UPDATE SET files = excluded.files",
            (question.event_id, question.room_id, dump(list(question.files))),
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
    """Move an event from the table ``handled`` to ``reopened``: the bot must handle it again."""
    db.execute(
        "INSERT INTO reopened (event_id, room_id, ordinal, is_below) VALUES (?, ?, ?,"
        " coalesce((SELECT is_below FROM handled WHERE event_id = ?), 0))"
        " ON CONFLICT (event_id) DO UPDATE SET ordinal = excluded.ordinal",
        (again.event_id, again.room_id, again.ordinal, again.event_id),
    )
    db.execute("DELETE FROM handled WHERE event_id = ?", (again.event_id,))
