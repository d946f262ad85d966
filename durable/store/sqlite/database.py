"""Opens the SQLite file, and translates SQLite's errors to those of the store.

A file that can't be used as the bot's database is refused without a change to it.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from attrs import frozen

from durable.store.errors import (
    DatabaseMoved,
    FolderNotWritable,
    NewerSchema,
    NotOurDatabase,
    StoreDamaged,
    StoreDefect,
    StoreError,
    StoreUnavailable,
)
from durable.store.lock import make_folder
from durable.store.sqlite.migrations import CURRENT, migrate

Connect = Callable[..., sqlite3.Connection]

APPLICATION_ID = 0x5374726E
"""The application id in the database's header: ``Strn`` in ASCII.

By it, ``file(1)`` and this module tell the bot's database from another program's.
"""

_PAUSES_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)

HEADER_BYTES = 100
MAGIC = b"SQLite format 3\x00"
JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_ADOPTABLE = frozenset({"kv"})
"""The only tables that a database without the application id may have. Then the bot uses it.

Such a database was made by hand, with records for a new bot.
"""


@frozen
class OpenFile:
    """Identifies the opened database file, to detect that it was moved or replaced.

    SQLite would continue to write to a moved file. The next start would open another file at the
    path, and issue the same chat numbers again.

    Args:
        path: Where the file was opened.
        device: The id of the file's device (``st_dev``).
        inode: The file's inode number (``st_ino``).
    """

    path: Path
    device: int
    inode: int

    @classmethod
    def at(cls, path: Path) -> "OpenFile | None":
        """Return the identity of the file at ``path``; None if it can't be determined."""
        try:
            found = path.stat()
        except OSError:
            return None
        return cls(path, found.st_dev, found.st_ino)

    def must_be_there(self) -> None:
        """Check that the file is where it was opened.

        Raises:
            DatabaseMoved: The file was moved or replaced.
        """
        try:
            found = self.path.stat()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DatabaseMoved(self.path) from error
        except OSError:
            return  # a disk in trouble: SQLite's own error says more
        if (found.st_dev, found.st_ino) != (self.device, self.inode):
            raise DatabaseMoved(self.path)


@frozen
class Database:
    """An open database.

    Args:
        writer: The connection for writes.
        reader: The connection for reads, which can't write.
        file: The identity of the opened file; None if it can't be determined.
    """

    writer: sqlite3.Connection
    reader: sqlite3.Connection
    file: OpenFile | None = None


def open_database(
    path: Path, connect: Connect = sqlite3.connect, *, is_synced: bool = True
) -> Database:
    """Open or create the database, and update its schema.

    A process must not open a file that it already has open as a database. This function reads the
    header of the file and closes it, which would release the locks that SQLite holds on that file
    (sqlite.org/howtocorrupt.html, 2.2).

    Args:
        path: The file.
        connect: Called as ``sqlite3.connect``; returns a connection.
        is_synced: Whether each commit is fsynced. False only for databases of tests.

    Raises:
        FolderNotWritable: The folder can't be created or written.
        NotOurDatabase: The file is not an SQLite file, or another program wrote it.
        NewerSchema: A newer version of Strandline wrote it.
        StoreUnavailable: The disk can't be written or read, or does not support WAL.
        StoreError: Any other error of SQLite, as by ``translate``.
    """
    path = path.absolute()
    if not _is_half_made(path):
        _check_header(path)
        _check_contents(path)
    _create(path)
    with translated():
        writer = _connect(path, connect, is_synced=is_synced)
        try:
            _set_up(writer)
            migrate(writer, APPLICATION_ID)
            reader = _connect(path, connect, is_synced=is_synced)
        except BaseException:
            writer.close()
            raise
        reader.execute("PRAGMA query_only = ON")  # a write on the reader's connection is a bug
        return Database(writer, reader, OpenFile.at(path))


def _is_half_made(path: Path) -> bool:
    """Return whether the power failed while SQLite created the file.

    The journal beside the file shows that: it restores a file of 0 pages. SQLite then empties the
    file when it opens it for writing. Until then, parts of the file may be missing, and a read-only
    connection fails.

    If the file has more than one page, the result is False: the journal belongs to another file.
    """
    try:
        with path.with_name(f"{path.name}-journal").open("rb") as file:
            header = file.read(28)
        size = path.stat().st_size
    except OSError:
        return False
    # the page count before the transaction that the journal rolls back, and the page size
    had_pages, page_size = int.from_bytes(header[16:20]), int.from_bytes(header[24:28])
    return header.startswith(JOURNAL_MAGIC) and had_pages == 0 and size <= page_size


def _check_header(path: Path) -> None:
    try:
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
    except FileNotFoundError:
        return
    except OSError as error:
        raise FolderNotWritable(path.parent, str(error)) from error
    if not header:
        return
    if not header.startswith(MAGIC) or len(header) < HEADER_BYTES:
        raise NotOurDatabase(path, "it is no SQLite file")
    version = int.from_bytes(header[60:64])
    if version > CURRENT:
        raise NewerSchema(path, version, CURRENT)


def _check_contents(path: Path) -> None:
    """Check version, application id, encoding and tables of the file by a read-only connection.

    ``_check_header`` does not see changes that are still only in the WAL; this function does.

    Raises:
        NotOurDatabase: Another program wrote the file.
        NewerSchema: A newer version of Strandline wrote it.
    """
    if not path.exists() or not path.stat().st_size:
        return
    has_wal = path.with_name(f"{path.name}-wal").exists()
    # immutable: without it SQLite makes a WAL and a shared memory file even to read
    uri = f"{path.as_uri()}?mode=ro" + ("" if has_wal else "&immutable=1")
    with translated(), closing(sqlite3.connect(uri, uri=True)) as db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (encoding,) = db.execute("PRAGMA encoding").fetchone()
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema")}
    if application not in (0, APPLICATION_ID):
        raise NotOurDatabase(path, f"its application id is {application:#x}")
    if version > CURRENT:
        raise NewerSchema(path, version, CURRENT)
    if encoding != "UTF-8":
        raise NotOurDatabase(path, f"its text is {encoding}")
    foreign = sorted(t for t in tables - _ADOPTABLE if not t.startswith("sqlite_"))
    if application == 0 and foreign:
        raise NotOurDatabase(path, f"it has the table {foreign[0]!r} of another program")


def _create(path: Path) -> None:
    try:
        make_folder(path.parent)
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise FolderNotWritable(path.parent, "permission denied")
        # created before SQLite creates it, so that others can never read it
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise FolderNotWritable(path.parent, error.strerror or str(error)) from error


def _connect(path: Path, connect: Connect, *, is_synced: bool) -> sqlite3.Connection:
    """A connection with all pragmas that are set for each connection."""
    # isolation_level None: transactions begin and end where we say
    db = connect(path, isolation_level=None, check_same_thread=False)
    # a backup or a person's sqlite3 may hold the lock briefly
    db.execute("PRAGMA busy_timeout = 5000")
    # with NORMAL, a commit in WAL may vanish at power loss; FULL costs one fsync a group
    db.execute(f"PRAGMA synchronous = {'FULL' if is_synced else 'OFF'}")
    # off by default, for the sake of databases from before 2009
    db.execute("PRAGMA foreign_keys = ON")
    # after a burst the WAL file shrinks again
    db.execute("PRAGMA journal_size_limit = 16777216")
    return db


def _set_up(db: sqlite3.Connection) -> None:
    """Set the journal mode, which is stored in the file, to WAL."""
    # readers see the last commit while a writer writes; one fsync a commit
    mode = _journal_mode(db)
    if mode != "wal":
        problem = f"its disk does not support WAL, the journal mode stayed {mode}"
        raise StoreUnavailable(problem)


def _journal_mode(db: sqlite3.Connection) -> str:
    for pause_seconds in _PAUSES_SECONDS:
        try:
            return str(db.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            # if two processes open a new file at once, this fails at once despite busy_timeout
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(pause_seconds)
    return str(db.execute("PRAGMA journal_mode = WAL").fetchone()[0])


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
"""The mask for the low byte of an extended result code, which is the primary result code."""


def translate(error: sqlite3.Error) -> StoreError:
    """Convert an error of SQLite to one of the store."""
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
    """Raise the store's error for each error of SQLite that the context raises."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error) from error
