"""The store's statements, each a function of a connection."""

import sqlite3
from collections.abc import Callable, Collection

from durable.store.codec import dump, load
from durable.store.sqlite.transaction import ROW_COLUMNS, to_row
from durable.store.transaction import Behind, Progress, QuestionFiles, Reopened, Stream
from fsm.outbox import OutboxRow
from fsm.values.ids import EventId, RoomId, SyncToken, UserId

ROOMS_OF_OWNER = "SELECT key FROM owned_room WHERE owner = ? ORDER BY key"
"""One step into its index; a test holds it to that."""

DUE = (
    "SELECT key FROM flow_deadline WHERE at_ms <= ?"
    " AND substr(key, 6, instr(substr(key, 6), ':') - 1) IN (SELECT value FROM json_each(?))"
    " AND key NOT IN (SELECT value FROM json_each(?))"
    " ORDER BY at_ms LIMIT ?"
)
"""Likewise."""

DUE_AT_ONCE = 1_000
"""After a long time down, a million deadlines may have passed."""

HANDLED_KEPT = 300
"""Handled ids kept for each room below the checkpoint (about 30 kB a room). History is read forward
from the checkpoint, but ``/messages`` pages in topological order: events from shortly before it may
come again, and must not look new. This is three of its pages."""


def handled_among(
    event_ids: Collection[EventId],
) -> Callable[[sqlite3.Connection], frozenset[EventId]]:
    """Those of the events that are handled, or will be again without coming again."""

    def ask(db: sqlite3.Connection) -> frozenset[EventId]:
        rows = db.execute(
            "WITH asked AS (SELECT value FROM json_each(?))"
            " SELECT event_id FROM handled WHERE event_id IN asked"
            " UNION SELECT event_id FROM reopened WHERE event_id IN asked",
            (dump(list(event_ids)),),
        ).fetchall()
        return frozenset(EventId(event_id) for (event_id,) in rows)

    return ask


def delivered(row: OutboxRow, event_id: EventId | None) -> Callable[[sqlite3.Connection], None]:
    """Delete an acknowledged row; the answer that it began now has its head.

    So has a last edit of it, if the answer was complete before its head had left.
    """

    def write(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM outbox WHERE transaction_id = ?", (row.transaction_id,))
        if row.stream_of is not None and event_id is not None:
            db.execute(
                "UPDATE stream SET head_event_id = ? WHERE event_id = ?", (event_id, row.stream_of)
            )
            db.execute(
                "UPDATE outbox SET payload = json_set(payload, '$.edits', ?)"
                " WHERE kind = 'edit' AND json_extract(payload, '$.sent_as') = ?",
                (event_id, row.transaction_id),
            )

    return write


def park_row(row: OutboxRow, error: str) -> Callable[[sqlite3.Connection], None]:
    """Keep a hopeless row out of the queue, with its error. An answer that it began has not."""

    def write(db: sqlite3.Connection) -> None:
        db.execute(
            "UPDATE outbox SET parked_error = ? WHERE transaction_id = ?",
            (error, row.transaction_id),
        )
        db.execute(
            "DELETE FROM stream WHERE event_id = ? AND head_event_id IS NULL", (row.stream_of,)
        )

    return write


def owed(db: sqlite3.Connection) -> tuple[OutboxRow, ...]:
    """The rows to deliver, in order."""
    rows = db.execute(
        f"SELECT {ROW_COLUMNS} FROM outbox"  # noqa: S608  # a constant
        " WHERE parked_error IS NULL ORDER BY position"
    ).fetchall()
    return tuple(to_row(row) for row in rows)


def stream(event_id: EventId) -> Callable[[sqlite3.Connection], Stream | None]:
    """The answer to the event, if it has begun."""

    def ask(db: sqlite3.Connection) -> Stream | None:
        row = db.execute(
            "SELECT event_id, room_id, head_event_id FROM stream WHERE event_id = ?", (event_id,)
        ).fetchone()
        return None if row is None else Stream(*row)

    return ask


def asked(db: sqlite3.Connection) -> dict[EventId, QuestionFiles]:
    """The questions with files whose answers are not complete."""
    rows = db.execute("SELECT event_id, room_id, files FROM asked").fetchall()
    return {
        event_id: QuestionFiles(event_id=event_id, room_id=room_id, files=tuple(load(files)))
        for event_id, room_id, files in rows
    }


def reopened(db: sqlite3.Connection) -> tuple[Reopened, ...]:
    """The events to handle again."""
    rows = db.execute(
        "SELECT event_id, room_id, ordinal FROM reopened ORDER BY position"
    ).fetchall()
    return tuple(Reopened(EventId(event), RoomId(room), ordinal) for event, room, ordinal in rows)


def checkpoint(db: sqlite3.Connection) -> SyncToken | None:
    """The saved token."""
    token = meta(db, "checkpoint")
    return None if token is None else SyncToken(token)


def advance(progress: Progress, *, keep: int) -> Callable[[sqlite3.Connection], None]:
    """Save the progress, and prune."""
    passed, memberships = progress.passed, progress.memberships

    def write(db: sqlite3.Connection) -> None:
        if progress.token is not None:
            set_meta(db, "checkpoint", progress.token)
        for room_id, left in progress.behind.items():
            db.execute("DELETE FROM behind WHERE room_id = ?", (room_id,))
            if left is not None:
                db.execute(
                    "INSERT INTO behind (room_id, since, is_entered) VALUES (?, ?, ?)",
                    (room_id, left.since, left.is_entered),
                )
        for room_id, is_in in memberships.items():
            change = (
                "INSERT OR IGNORE INTO joined_room (room_id) VALUES (?)"
                if is_in
                else "DELETE FROM joined_room WHERE room_id = ?"
            )
            db.execute(change, (room_id,))
        for table in ("handled", "reopened"):
            db.execute(
                f"UPDATE {table} SET is_below = 1"  # noqa: S608  # one of the two
                " WHERE event_id IN (SELECT value FROM json_each(?))",
                (dump(list(passed)),),
            )
        rooms = db.execute(
            "SELECT DISTINCT room_id FROM handled"
            " WHERE event_id IN (SELECT value FROM json_each(?))",
            (dump(list(passed)),),
        ).fetchall()
        for (room_id,) in rooms:
            db.execute(
                "DELETE FROM handled WHERE is_below AND room_id = ? AND position <="
                " (SELECT position FROM handled WHERE is_below AND room_id = ?"
                " ORDER BY position DESC LIMIT 1 OFFSET ?)",
                (room_id, room_id, keep),
            )

    return write


def behind(db: sqlite3.Connection) -> dict[RoomId, Behind]:
    """The rooms that are behind the checkpoint, and from where each is to be read."""
    rows = db.execute("SELECT room_id, since, is_entered FROM behind ORDER BY room_id").fetchall()
    return {
        RoomId(room_id): Behind(SyncToken(since), bool(is_entered))
        for room_id, since, is_entered in rows
    }


def is_joined(room_id: RoomId) -> Callable[[sqlite3.Connection], bool]:
    """Whether the bot was in the room at the checkpoint."""

    def ask(db: sqlite3.Connection) -> bool:
        found = db.execute("SELECT 1 FROM joined_room WHERE room_id = ?", (room_id,))
        return found.fetchone() is not None

    return ask


def quarantine(key: str, text: str, error: str, at_ms: int) -> Callable[[sqlite3.Connection], None]:
    """Set a corrupt value aside, if it is still there."""
    on_disk = text.encode("utf-8", "surrogateescape")

    def write(db: sqlite3.Connection) -> None:
        db.execute(
            "INSERT INTO quarantine (key, value, error, at_ms)"
            " SELECT key, value, ?, ? FROM kv WHERE key = ? AND CAST(value AS BLOB) = ?",
            (error, at_ms, key, on_disk),
        )
        db.execute("DELETE FROM kv WHERE key = ? AND CAST(value AS BLOB) = ?", (key, on_disk))

    return write


def started_at(at_ms: int) -> Callable[[sqlite3.Connection], None]:
    """Note a life's begin; it has no end yet."""

    def write(db: sqlite3.Connection) -> None:
        set_meta(db, "started_at_ms", str(at_ms))
        db.execute("DELETE FROM meta WHERE name = 'stopped_at_ms'")

    return write


def stopped_at(at_ms: int) -> Callable[[sqlite3.Connection], None]:
    """Note a life's orderly end."""
    return lambda db: set_meta(db, "stopped_at_ms", str(at_ms))


def keys_under(prefix: str) -> Callable[[sqlite3.Connection], list[str]]:
    """The keys that begin with ``prefix``."""

    def ask(db: sqlite3.Connection) -> list[str]:
        # no key holds a character above U+10FFFF
        rows = db.execute(
            "SELECT key FROM kv WHERE key >= ? AND key < ? ORDER BY key",
            (prefix, prefix + "\U0010ffff"),
        )
        return [key for (key,) in rows]

    return ask


def rooms_of(owner: UserId) -> Callable[[sqlite3.Connection], list[str]]:
    """The keys of the rooms that are this user's."""

    def ask(db: sqlite3.Connection) -> list[str]:
        return [key for (key,) in db.execute(ROOMS_OF_OWNER, (owner,))]

    return ask


def due(
    flows: Collection[str], now_ms: int, besides: Collection[str]
) -> Callable[[sqlite3.Connection], list[str]]:
    """The keys of these flows' conversations whose time in a durable state is up, oldest first.

    Args:
        flows: The flows' names.
        now_ms: Unix time in milliseconds.
        besides: Keys that are known to be.
    """

    def ask(db: sqlite3.Connection) -> list[str]:
        return [
            key
            for (key,) in db.execute(
                DUE, (now_ms, dump(sorted(flows)), dump(sorted(besides)), DUE_AT_ONCE)
            )
        ]

    return ask


def meta(db: sqlite3.Connection, name: str) -> str | None:
    """A value of the bot's own, or None."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def set_meta(db: sqlite3.Connection, name: str, value: str) -> None:
    """Keep a value of the bot's own."""
    db.execute(
        "INSERT INTO meta (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def secret(fresh: str) -> Callable[[sqlite3.Connection], str]:
    """The database's own secret; ``fresh`` if it had none."""

    def write(db: sqlite3.Connection) -> str:
        db.execute("INSERT OR IGNORE INTO meta (name, value) VALUES ('secret', ?)", (fresh,))
        return meta(db, "secret") or fresh

    return write


def highest_issued(db: sqlite3.Connection) -> int:
    """The highest platform chat number that is known to have been issued; 0 if none."""
    (in_rooms,) = db.execute(
        # the bound is what makes it one step into the index
        "SELECT max(platform_chat_number) FROM room WHERE platform_chat_number > 0"
    ).fetchone()
    return max(in_rooms or 0, int(meta(db, "issued") or 0))
