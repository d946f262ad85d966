"""Setting aside what fails every time, and taking it up again."""

import sqlite3
from collections.abc import Sequence

from attrs import frozen

from durable.store.sqlite.applying import add_row, close, mark_handled, reopen
from durable.store.transaction import Parked, Reopened
from fsm.effects import OutboxRow
from fsm.values.ids import EventId, RoomId

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
