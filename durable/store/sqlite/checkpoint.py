"""The checkpoint of a SQLite store.

That is the sync token up to which events are handled, with the rooms that are behind it. The ids of
handled events far below the token are deleted here.
"""

import sqlite3

from durable.store.codec import dump
from durable.store.contract import CheckpointStore
from durable.store.sqlite.executor import Executor
from durable.store.sqlite.meta import write_meta
from durable.store.values import Behind, Progress
from fsm.failpoints import reach
from fsm.values.ids import RoomId, SyncToken

MAX_HANDLED_PER_ROOM = 300
"""Maximum ids of handled events below the checkpoint that are kept for each room (about 30 kB).

History is read forward from the checkpoint. But ``/messages`` returns events in topological order,
so events from shortly before the checkpoint may come again, and must not be handled twice. The
number is that of the events on three pages of ``/messages``.
"""


class SqliteCheckpoint(CheckpointStore):
    """Reads and saves the checkpoint of a SQLite store.

    Args:
        executor: Runs the SQL statements.
        max_handled: Maximum ids of handled events below the checkpoint that are kept for each room.
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
    """Mark events as below the checkpoint, and delete the ids of older events of their rooms.

    Args:
        db: The connection, in a transaction.
        event_ids: The ids of the events, as a JSON list.
        max_handled: How many ids of events below the checkpoint are kept for each room.
    """
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
