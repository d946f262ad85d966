"""The parked events and requests of a SQLite store: tables ``parked`` and ``outbox``."""

import sqlite3
from collections.abc import Callable, Sequence

from durable.store.contract import ParkingStore
from durable.store.sqlite.executor import Executor
from durable.store.sqlite.outbox import add_row
from durable.store.sqlite.transaction import mark_handled, reopen
from durable.store.values import INVITE_ID_PREFIX, Parked, Reopened
from fsm.failpoints import reach
from fsm.outbox import OutboxRow
from fsm.values.ids import EventId, RoomId


class SqliteParking(ParkingStore):
    """Reads and changes the parked events and outbox rows of a SQLite store.

    Args:
        executor: Runs the SQL statements.
        now_ms: Called without arguments; returns the current Unix time in milliseconds.
    """

    def __init__(self, executor: Executor, now_ms: Callable[[], int]) -> None:
        self._executor = executor
        self._now_ms = now_ms

    async def park_event(
        self,
        event_id: EventId,
        room_id: RoomId,
        *,
        error: str,
        attempts: int,
        outbox: Sequence[OutboxRow] = (),
    ) -> tuple[OutboxRow, ...]:
        now_ms = self._now_ms()

        def write(db: sqlite3.Connection) -> tuple[OutboxRow, ...]:
            db.execute(
                "INSERT INTO parked (event_id, room_id, error, attempts, ordinal, parked_at_ms)"
                " VALUES (?, ?, ?, ?,"
                " coalesce((SELECT ordinal FROM reopened WHERE event_id = ?), 0), ?)"
                " ON CONFLICT (event_id) DO UPDATE SET error = excluded.error,"
                " attempts = excluded.attempts, parked_at_ms = excluded.parked_at_ms",
                (event_id, room_id, error, attempts, event_id, now_ms),
            )
            mark_handled(db, event_id, room_id)
            return tuple(add_row(db, row, now_ms) for row in outbox)

        reach("event.park.before")
        rows = await self._executor.write(write)
        reach("event.park.after")
        return rows

    async def list_parked(self) -> tuple[Parked, ...]:
        events = await self._executor.select(
            "SELECT event_id, room_id, error, attempts, parked_at_ms FROM parked ORDER BY position"
        )
        requests = await self._executor.select(
            "SELECT transaction_id, room_id, kind || ': ' || parked_error, 1, created_at_ms"
            " FROM outbox WHERE parked_error IS NOT NULL ORDER BY position"
        )
        return tuple(
            Parked(event_id=event, room_id=room, error=error, attempts=attempts, parked_at_ms=at_ms)
            for event, room, error, attempts, at_ms in events + requests
        )

    async def retry(self, event_id: EventId) -> bool:
        return await self._executor.write(
            lambda db: _retry_event(db, event_id) or _retry_request(db, event_id)
        )

    async def drop(self, event_id: EventId) -> bool:
        return await self._executor.write(
            lambda db: _drop_event(db, event_id) or _drop_request(db, event_id)
        )


def _retry_event(db: sqlite3.Connection, event_id: EventId) -> bool:
    found = db.execute(
        "SELECT room_id, ordinal FROM parked WHERE event_id = ?", (event_id,)
    ).fetchone()
    if found is None:
        return False
    if event_id.startswith(INVITE_ID_PREFIX):  # the homeserver has no such event to read again
        db.execute("DELETE FROM handled WHERE event_id = ?", (event_id,))
    else:
        # another ordinal gives its requests other transaction ids
        reopen(db, Reopened(event_id, RoomId(found[0]), found[1] + 1))
    db.execute("DELETE FROM parked WHERE event_id = ?", (event_id,))
    return True


def _retry_request(db: sqlite3.Connection, transaction_id: str) -> bool:
    changed = db.execute(
        "UPDATE outbox SET parked_error = NULL"
        " WHERE transaction_id = ? AND parked_error IS NOT NULL",
        (transaction_id,),
    )
    return changed.rowcount > 0


def _drop_event(db: sqlite3.Connection, event_id: EventId) -> bool:
    if not db.execute("DELETE FROM parked WHERE event_id = ?", (event_id,)).rowcount:
        return False
    db.execute("DELETE FROM stream WHERE event_id = ?", (event_id,))
    return True


def _drop_request(db: sqlite3.Connection, transaction_id: str) -> bool:
    deleted = db.execute(
        "DELETE FROM outbox WHERE transaction_id = ? AND parked_error IS NOT NULL",
        (transaction_id,),
    )
    return deleted.rowcount > 0
