"""The part of ``sqlite3.Connection`` that the store uses, on a recorded connection of APSW."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import apsw

from tests.crash.power.recording import Log

CHECKPOINT_PAGES = 24
WAL_BYTES = 32_768
"""Both far below the product's, so that a short run has many checkpoints and shrinks its WAL."""


def connecting(
    log: Log, vfs: str, *, synchronous: str = "FULL"
) -> Callable[..., sqlite3.Connection]:
    """What ``SqliteStore.open`` takes as ``connect``."""

    def connect(path: Path, **_options: Any) -> sqlite3.Connection:
        return cast("sqlite3.Connection", Connection(log, path, vfs, synchronous))

    return connect


class Cursor:
    """An answer, fetched whole."""

    def __init__(self, rows: list[Any], rowcount: int) -> None:
        self._rows = iter(rows)
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)


class Connection:
    def __init__(self, log: Log, path: Path, vfs: str, synchronous: str) -> None:
        self._log = log
        self._synchronous = synchronous
        self._changes = 0
        with _mapped():
            self._db = apsw.Connection(str(path), vfs=vfs)
            self._db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction

    def execute(self, sql: str, parameters: Any = (), /) -> Cursor:
        with _mapped():
            cursor = Cursor(
                self._db.execute(self._scaled(sql), parameters).fetchall(), self._db.changes()
            )
        self._count(sql)
        return cursor

    def close(self) -> None:
        with _mapped():
            self._db.close()

    def _scaled(self, sql: str) -> str:
        return {
            "PRAGMA synchronous = FULL": f"PRAGMA synchronous = {self._synchronous}",
            "PRAGMA journal_size_limit = 16777216": f"PRAGMA journal_size_limit = {WAL_BYTES}",
        }.get(sql, sql)

    def _count(self, sql: str) -> None:
        if sql in {"BEGIN IMMEDIATE", "ROLLBACK"}:
            self._changes = 0
        elif sql == "RELEASE job":
            self._changes += 1
        elif sql == "ROLLBACK TO job":  # its release comes too
            self._changes -= 1
        elif sql == "COMMIT" and self._changes:
            self._log.transactions.append(self._log.transactions[-1] + self._changes)


@contextmanager
def _mapped() -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        mapped = sqlite3.OperationalError(str(error))
        mapped.sqlite_errorcode = getattr(error, "extendedresult", apsw.SQLITE_ERROR)
        mapped.sqlite_errorname = type(error).__name__
        raise mapped from error
