"""The table ``meta``: the bot's internal values, and the issued numbers."""

import sqlite3


def read_meta(db: sqlite3.Connection, name: str) -> str | None:
    """The value under the name, or None."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def write_meta(db: sqlite3.Connection, name: str, value: str) -> None:
    """Set the value under the name."""
    db.execute(
        "INSERT INTO meta (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def raise_issued(db: sqlite3.Connection, number: str) -> None:
    """Record a platform chat number as issued; a lower one than before changes nothing."""
    db.execute(
        "INSERT INTO meta (name, value) VALUES ('issued', CAST(? AS INTEGER))"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        " WHERE CAST(excluded.value AS INTEGER) > CAST(value AS INTEGER)",
        (number,),
    )


def highest_issued(db: sqlite3.Connection) -> int:
    """The highest platform chat number that was issued or that a room has; 0 if none."""
    (in_rooms,) = db.execute(
        # with the bound, SQLite takes one step into the index
        "SELECT max(platform_chat_number) FROM room WHERE platform_chat_number > 0"
    ).fetchone()
    return max(in_rooms or 0, int(read_meta(db, "issued") or 0))
