"""The outbox of a SQLite store: the table ``outbox``."""

import sqlite3

from durable.store.contract import OutboxStore
from durable.store.outbox_rows import StoredRow, kind_and_payload
from durable.store.sqlite.executor import Executor
from fsm.failpoints import reach
from fsm.outbox import OutboxRow
from fsm.values.ids import EventId


class SqliteOutbox(OutboxStore):
    """Reads and changes the outbox of a SQLite store.

    Args:
        executor: Runs the SQL statements.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def pending_rows(self) -> tuple[OutboxRow, ...]:
        found = await self._executor.select(
            "SELECT position, transaction_id, room_id, kind, payload, stream_of, created_at_ms"
            " FROM outbox WHERE parked_error IS NULL ORDER BY position"
        )
        return tuple(StoredRow(*columns).read() for columns in found)

    async def mark_delivered(self, row: OutboxRow, event_id: EventId | None) -> None:
        def write(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM outbox WHERE transaction_id = ?", (row.transaction_id,))
            if row.stream_of is None or event_id is None:
                return
            db.execute(
                "UPDATE stream SET head_event_id = ? WHERE event_id = ?", (event_id, row.stream_of)
            )
            # if the answer was complete before its first message was sent, its last edit is pending
            db.execute(
                "UPDATE outbox SET payload = json_set(payload, '$.edits', ?)"
                " WHERE kind = 'edit' AND json_extract(payload, '$.sent_as') = ?",
                (event_id, row.transaction_id),
            )

        reach("outbox.delete.before")
        await self._executor.write(write)
        reach("outbox.delete.after")

    async def park_row(self, row: OutboxRow, error: str) -> None:
        def write(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE outbox SET parked_error = ? WHERE transaction_id = ?",
                (error, row.transaction_id),
            )
            db.execute(
                "DELETE FROM stream WHERE event_id = ? AND head_event_id IS NULL", (row.stream_of,)
            )

        reach("outbox.park.before")
        await self._executor.write(write)
        reach("outbox.park.after")


def add_row(db: sqlite3.Connection, row: OutboxRow, now_ms: int) -> OutboxRow:
    """Add a row to the outbox, and return it as it is stored.

    If a row with the same transaction id is stored already, it is kept and returned instead. If
    that row was parked, it becomes pending again, because the request may succeed now.

    Args:
        db: The connection, in a transaction.
        row: The row.
        now_ms: The current Unix time in milliseconds.
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
        "SELECT position, transaction_id, room_id, kind, payload, stream_of, created_at_ms"
        " FROM outbox WHERE transaction_id = ?",
        (row.transaction_id,),
    )
    return StoredRow(*stored.fetchone()).read()
