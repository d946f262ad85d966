"""The bot's records in a database, as a test sets them and looks at them."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from durable.records import ChatRecord, IssuedNumber, RoomRecord, UsedRecord, UserRecord
from durable.store.codec import from_json, to_json
from durable.store.sqlite.database import open_database
from fsm.records import PLATFORM_CHAT_SEQ_KEY

R = TypeVar("R")

CLASSES = {
    "matrix_user:": UserRecord,
    "matrix_room:": RoomRecord,
    "chat:": ChatRecord,
    "room_used:": UsedRecord,
}
"""The class of the records under each prefix."""


class StoredRecords:
    """Reads what is committed, and writes in a transaction of its own.

    Args:
        path: The database; it is made.
        records: What is in it at first.
    """

    def __init__(self, path: Path, records: Mapping[str, object]) -> None:
        self._path = path
        database = open_database(path, is_synced=False)
        database.reader.close()
        database.writer.close()
        for key, record in records.items():
            self.save(key, record)

    @property
    def records(self) -> dict[str, object]:
        """All records, by their keys; without the states of flows."""
        return {
            key: from_json(cls, text)
            for key, text in self._rows("SELECT key, value FROM kv ORDER BY key")
            for prefix, cls in CLASSES.items()
            if key.startswith(prefix)
        }

    @property
    def issued(self) -> int:
        """The last platform chat number that was issued, or 0."""
        rows = self._rows("SELECT key, value FROM kv WHERE key = ?", PLATFORM_CHAT_SEQ_KEY)
        return from_json(IssuedNumber, rows[0][1]).number if rows else 0

    @issued.setter
    def issued(self, number: int) -> None:
        self.save(PLATFORM_CHAT_SEQ_KEY, IssuedNumber(number))

    def read(self, cls: type[R], key: str) -> R | None:
        """The record under the key, or None."""
        record = self.records.get(key)
        assert record is None or isinstance(record, cls)
        return record

    def save(self, key: str, record: object) -> None:
        """Write the record; None deletes."""
        self._rows("DELETE FROM kv WHERE key = ?", key)
        if record is not None:
            self._rows("INSERT INTO kv VALUES (?, ?)", key, to_json(record))

    def _rows(self, statement: str, *values: object) -> list[tuple[str, str]]:
        with closing(sqlite3.connect(self._path, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous = OFF")
            return db.execute(statement, values).fetchall()
