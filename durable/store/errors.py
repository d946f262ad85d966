"""The store's errors. ``fsm.errors`` has the tree of all errors."""

from datetime import datetime
from pathlib import Path

from attrs import frozen

from fsm.errors import StrandlineError
from fsm.values.ids import EventId, TransactionId


class StoreError(StrandlineError):
    """Base class of the store's errors."""


@frozen(slots=False)
class StoreUnavailable(StoreError):
    """The disk could not be written or read; nothing was written.

    Args:
        reason: SQLite's error, or what the disk does not support.
    """

    reason: str

    def __str__(self) -> str:
        return (
            f"the store can't be used now ({self.reason}) and nothing was written; "
            f"free space on its disk or make it writable, then try again"
        )


@frozen(slots=False)
class DatabaseMoved(StoreError):
    """The database file was moved or replaced while it was open. Nothing more is written to it.

    Args:
        path: Where the file was opened.
    """

    path: Path

    def __str__(self) -> str:
        return (
            f"{self.path} was moved away or replaced while the bot was running, so the bot stops: "
            f"what it would write now would be lost. Put the file back, with its -wal file, and "
            f"start the bot again; move a database only while the bot is stopped"
        )


@frozen(slots=False)
class StoreDamaged(StoreError):
    """SQLite reports that the database file is corrupt.

    Args:
        reason: SQLite's error.
    """

    reason: str

    def __str__(self) -> str:
        return (
            f"the database is damaged ({self.reason}); stop the bot, keep a copy of the file, "
            f"and restore lambda_matrix.db from a backup or recover it with sqlite3's .recover"
        )


@frozen(slots=False)
class StoreDefect(StoreError):
    """SQLite refused a statement, because of a bug in the store or a schema changed by others.

    Args:
        reason: SQLite's error.
    """

    reason: str

    def __str__(self) -> str:
        return (
            f"SQLite refused a statement ({self.reason}) and nothing was written; "
            f"this is a bug in Strandline or a file changed by other hands: please report it"
        )


@frozen(slots=False)
class StoreClosed(StoreError):
    """A method of the store was called after ``close``."""

    def __str__(self) -> str:
        return "the store is closed; open it again before using it"


@frozen(slots=False)
class FolderNotWritable(StoreError):
    """The data folder can't be created, or no file can be written in it.

    Args:
        folder: The data folder.
        reason: The operating system's error.
    """

    folder: Path
    reason: str

    def __str__(self) -> str:
        return (
            f"the data folder {self.folder} is not writable ({self.reason}); "
            f"give the bot's user the right to write there, or name another folder"
        )


@frozen(slots=False)
class NotOurDatabase(StoreError):
    """The file is no Strandline database. It was not changed.

    Args:
        path: The file.
        problem: Why the file is not accepted.
    """

    path: Path
    problem: str

    def __str__(self) -> str:
        return (
            f"{self.path} is not a Strandline database ({self.problem}) and was left as it is; "
            f"move it away for a clean start, or name another data folder"
        )


@frozen(slots=False)
class NewerSchema(StoreError):
    """The database was written by a newer version of Strandline. It was not changed.

    Args:
        path: The database file.
        found: The schema version of the file.
        known: The newest schema version that this code can read.
    """

    path: Path
    found: int
    known: int

    def __str__(self) -> str:
        return (
            f"{self.path} has schema {self.found}, this Strandline knows up to {self.known}, "
            f"and the file was left as it is; install the newer Strandline that wrote it"
        )


@frozen(slots=False)
class DataFolderInUse(StoreError):
    """Another process uses the data folder.

    Args:
        folder: The data folder.
        pid: The id of that process; None if it is not known.
        since: When that process locked the folder, UTC; None if it is not known.
    """

    folder: Path
    pid: int | None
    since: datetime | None

    def __str__(self) -> str:
        who = f"process {self.pid}" if self.pid else "another process"
        since = f" since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else ""
        return (
            f"the data folder {self.folder} is in use by {who}{since}; "
            f"stop it first, or give this bot a folder of its own"
        )


@frozen(slots=False)
class CorruptValue(StoreError):
    """A stored value can't be decoded as a record of the wanted class.

    Args:
        expected: The name of the class.
        problem: Why the value can't be decoded.
    """

    expected: str
    problem: str

    def __str__(self) -> str:
        return (
            f"a stored value is no {self.expected}: {self.problem}; "
            f"it is set aside in the table 'quarantine', correct it there and put it back in 'kv'"
        )


@frozen(slots=False)
class Conflict(StoreError):
    """A stored value changed after a turn had read it and before the turn's commit.

    Nothing was written.

    Args:
        key: The value's key.
    """

    key: str

    def __str__(self) -> str:
        return f"{self.key} changed since it was read and nothing was written; run the turn again"


@frozen(slots=False)
class AlreadyHandled(StoreError):
    """The event of a commit was handled before, or the row that it deletes is gone.

    Nothing was written.

    Args:
        what: The id of the event, or the transaction id of the outbox row.
    """

    what: EventId | TransactionId

    def __str__(self) -> str:
        return f"{self.what} was dealt with before and nothing was written; skip it"
