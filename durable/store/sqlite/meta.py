"""The table ``meta``: the bot's internal values, among them the highest issued chat number."""

import sqlite3


def read_meta(db: sqlite3.Connection, name: str) -> str | None:
    """Return the value under the name; None if there is none."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def write_meta(db: sqlite3.Connection, name: str, value: str) -> None:
    """Set the value under the name."""
    db.execute(
        "INSERT INTO meta (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def record_issued(db: sqlite3.Connection, number: str) -> None:
    """Record ``number`` as the highest issued platform chat number, unless a higher one is stored.

    Args:
        db: The connection, in a transaction.
        number: The number in decimal digits.
    """
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
