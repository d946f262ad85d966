"""The wall through which SQLite's errors come: behind it there are only ours."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from durable.store.errors import StoreDamaged, StoreDefect, StoreError, StoreUnavailable

_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_ABORT,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOLFS,
    }
)
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_PRIMARY = 0xFF
"""The low byte of an extended result code is the primary one."""


def translate(error: sqlite3.Error) -> StoreError:
    """Our error for one of SQLite's."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & _PRIMARY
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    reason = f"{name}: {error}"
    if primary in _UNAVAILABLE:
        return StoreUnavailable(reason)
    if primary in _DAMAGED:
        return StoreDamaged(reason)
    return StoreDefect(reason)


@contextmanager
def translated() -> Iterator[None]:
    """Let no SQLite error out."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error) from error
