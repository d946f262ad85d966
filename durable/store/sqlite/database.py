"""Opening the SQLite file, which stays as it was if it is refused, and translating errors."""

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
"""``Strn``: how ``file(1)`` and we tell our database from another program's."""

_PAUSES_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)

HEADER_BYTES = 100
MAGIC = b"SQLite format 3\x00"
JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_ADOPTABLE = frozenset({"kv"})
"""Tables that a database without our application id may have: state written by hand."""


@frozen
class OpenFile:
    """The database file as it was opened, to notice when it is moved away or replaced.

    SQLite goes on writing to a file that has been moved, and would issue numbers there that the
    next start, on the file in its place, issues again.
    """

    path: Path
    device: int
    inode: int

    @classmethod
    def at(cls, path: Path) -> "OpenFile | None":
        """The file at the path; None where the file system does not know it."""
        try:
            found = path.stat()
        except OSError:
            return None
        return cls(path, found.st_dev, found.st_ino)

    def must_be_there(self) -> None:
        """Check that the file is where it was opened.

        Raises:
            DatabaseMoved: It is not.
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
    """The two connections, one writes and one reads beside it, and the file that they have open."""

    writer: sqlite3.Connection
    reader: sqlite3.Connection
    file: OpenFile | None = None


def open_database(
    path: Path, connect: Connect = sqlite3.connect, *, is_synced: bool = True
) -> Database:
    """Open, or make, the database and bring its schema up to date.

    One process opens a file once at a time: looking at a file's header and closing it takes away
    the locks that SQLite has on it in the same process (sqlite.org/howtocorrupt.html, 2.2).

    Args:
        path: The file.
        connect: Makes a connection.
        is_synced: Each commit is forced to the disk. Only a test's own database may do without.

    Raises:
        FolderNotWritable: The folder can't be made or written.
        NotOurDatabase: The file is no SQLite file, or another program's.
        NewerSchema: A newer version wrote it.
        StoreUnavailable: The disk does not take it.
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
        reader.execute("PRAGMA query_only = ON")  # a write on the reader's thread is a mistake
        return Database(writer, reader, OpenFile.at(path))


def _is_half_made(path: Path) -> bool:
    """Whether the power failed while the file was created; then SQLite itself empties it.

    Until it has, any part of the file may be missing, and a connection that can't write fails.
    A file with more than its first page is another, put beside a journal that is not its own.
    """
    try:
        with path.with_name(f"{path.name}-journal").open("rb") as file:
            header = file.read(28)
        size = path.stat().st_size
    except OSError:
        return False
    # of before the transaction that the journal takes back
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
    """Look with a connection that can't write: the newest version may be in the WAL alone."""
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
        # made before SQLite makes it, so that at no instant others may read it
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise FolderNotWritable(path.parent, error.strerror or str(error)) from error


def _connect(path: Path, connect: Connect, *, is_synced: bool) -> sqlite3.Connection:
    """A connection with every pragma that belongs to connections."""
    # isolation_level None: transactions begin and end where we say
    db = connect(path, isolation_level=None, check_same_thread=False)
    # a backup or a person's sqlite3 may hold the lock for a moment
    db.execute("PRAGMA busy_timeout = 5000")
    # with NORMAL, a commit in WAL may vanish at power loss; FULL costs one fsync a group
    db.execute(f"PRAGMA synchronous = {'FULL' if is_synced else 'OFF'}")
    # off by default, for the sake of databases from before 2009
    db.execute("PRAGMA foreign_keys = ON")
    # after a burst the WAL file shrinks again
    db.execute("PRAGMA journal_size_limit = 16777216")
    return db


def _set_up(db: sqlite3.Connection) -> None:
    """Set the pragma that belongs to the file."""
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
            # two that begin on a new file: here SQLite fails at once, whatever busy_timeout says
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
    """Translate SQLite's errors to the store's."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error) from error
