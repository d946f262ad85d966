"""A disk that fails when a test says so."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any


class FaultyDisk:
    """Makes connections of which a statement fails where ``fails`` says yes to it."""

    def __init__(self, fails: Callable[[str], bool], name: str = "SQLITE_FULL") -> None:
        self.fails = fails
        self.name = name

    def connect(self, path: Path, **options: Any) -> sqlite3.Connection:
        disk = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
                if disk.fails(sql):
                    raise sqlite_error(disk.name)
                return super().execute(sql, parameters)

        return sqlite3.connect(path, factory=Connection, **options)


def failing_at(statement: str) -> FaultyDisk:
    """A disk that is full whenever such a statement comes."""
    return FaultyDisk(lambda sql: statement in sql)


class NthFails(FaultyDisk):
    """A disk that fails once, at the ``nth`` statement."""

    def __init__(self, nth: int, name: str) -> None:
        super().__init__(self._count, name)
        self.left = nth

    def _count(self, _sql: str) -> bool:
        self.left -= 1
        return self.left == 0


def sqlite_error(name: str) -> sqlite3.OperationalError:
    """The error that SQLite raises for such a result code."""
    error = sqlite3.OperationalError("injected")
    error.sqlite_errorcode = getattr(sqlite3, name)
    error.sqlite_errorname = name
    return error
