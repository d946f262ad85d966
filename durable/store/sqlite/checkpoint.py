"""The checkpoint: the sync token, the rooms behind it, and the handled events around it."""

import sqlite3

from durable.store.codec import dump
from durable.store.contract import CheckpointStore
from durable.store.sqlite.executor import Executor
from durable.store.sqlite.meta import write_meta
from durable.store.values import Behind, Progress
from fsm.failpoints import reach
from fsm.values.ids import RoomId, SyncToken

MAX_HANDLED_PER_ROOM = 300
"""Maximum handled ids that are kept for each room below the checkpoint (about 30 kB a room).

History is read forward from the checkpoint, but ``/messages`` pages in topological order: events
from shortly before it may come again, and must not look new. This is three of its pages.
"""


class SqliteCheckpoint(CheckpointStore):
    """The checkpoint of a SQLite store.

    Args:
        executor: Runs its statements.
        max_handled: Maximum handled ids that are kept for each room below the checkpoint.
    """

    def __init__(self, executor: Executor, *, max_handled: int = MAX_HANDLED_PER_ROOM) -> None:
        self._executor = executor
        self._max_handled = max_handled

    async def token(self) -> SyncToken | None:
        found = await self._executor.select("SELECT value FROM meta WHERE name = 'checkpoint'")
        return SyncToken(found[0][0]) if found else None

    async def save(self, progress: Progress) -> None:
        def write(db: sqlite3.Connection) -> None:
            if progress.token is not None:
                write_meta(db, "checkpoint", progress.token)
            _write_rooms(db, progress)
            _complete(db, dump(list(progress.completed)), self._max_handled)

        reach("checkpoint.before")
        await self._executor.write(write)
        reach("checkpoint.after")

    async def rooms_behind(self) -> dict[RoomId, Behind]:
        found = await self._executor.select(
            "SELECT room_id, since, is_entered FROM behind ORDER BY room_id"
        )
        return {
            RoomId(room_id): Behind(SyncToken(since), bool(is_entered))
            for room_id, since, is_entered in found
        }

    async def is_joined(self, room_id: RoomId) -> bool:
        return bool(
            await self._executor.select("SELECT 1 FROM joined_room WHERE room_id = ?", room_id)
        )


def _write_rooms(db: sqlite3.Connection, progress: Progress) -> None:
    for room_id, behind in progress.behind.items():
        db.execute("DELETE FROM behind WHERE room_id = ?", (room_id,))
        if behind is not None:
            db.execute(
                "INSERT INTO behind (room_id, since, is_entered) VALUES (?, ?, ?)",
                (room_id, behind.since, behind.is_entered),
            )
    for room_id, is_joined in progress.memberships.items():
        if is_joined:
            db.execute("INSERT OR IGNORE INTO joined_room (room_id) VALUES (?)", (room_id,))
        else:
            db.execute("DELETE FROM joined_room WHERE room_id = ?", (room_id,))


def _complete(db: sqlite3.Connection, event_ids: str, max_handled: int) -> None:
    """Mark the events (a JSON list) as below the checkpoint, and forget old ones of their rooms."""
    db.execute(
        "UPDATE handled SET is_below = 1 WHERE event_id IN (SELECT value FROM json_each(?))",
        (event_ids,),
    )
    db.execute(
        "UPDATE reopened SET is_below = 1 WHERE event_id IN (SELECT value FROM json_each(?))",
        (event_ids,),
    )
    rooms = db.execute(
        "SELECT DISTINCT room_id FROM handled WHERE event_id IN (SELECT value FROM json_each(?))",
        (event_ids,),
    ).fetchall()
    for (room_id,) in rooms:
        db.execute(
            "DELETE FROM handled WHERE is_below AND room_id = ? AND position <="
            " (SELECT position FROM handled WHERE is_below AND room_id = ?"
            " ORDER BY position DESC LIMIT 1 OFFSET ?)",
            (room_id, room_id, max_handled),
        )
