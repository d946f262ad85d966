"""What SQLite does to its files, written down: a VFS that passes every call on.

SQLite's shared memory (``-shm``) does not come through here, and does not survive a power cut.
"""

from pathlib import Path
from threading import Lock
from typing import Any

import apsw
from attrs import define, field, frozen

WITH_DIRECTORY = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL
"""The files at whose first sync SQLite syncs the folder too (``os_unix.c``, DIRSYNC)."""


@frozen
class Create:
    """A name appears, for a file that is empty."""

    name: str
    file: int


@frozen
class Delete:
    name: str


@frozen
class Write:
    file: int
    offset: int
    data: bytes


@frozen
class Truncate:
    file: int
    size: int


@frozen
class Sync:
    """What was done to the file so far is on the disk."""

    file: int


@frozen
class SyncNames:
    """Which names the folder has is on the disk."""


Operation = Create | Delete | Write | Truncate | Sync | SyncNames


@define
class Log:
    """The operations in order, and how many changes were acknowledged before which.

    Args:
        operations: What SQLite did.
        acknowledged: Pairs: after so many operations so many changes were acknowledged.
        transactions: How many changes there were at the end of each transaction.
    """

    operations: list[Operation] = field(factory=list)
    acknowledged: list[tuple[int, int]] = field(factory=list)
    transactions: list[int] = field(factory=lambda: [0])
    _names: dict[str, int] = field(factory=dict)
    _files: int = 0
    _lock: Any = field(factory=Lock)

    def add(self, operation: Operation) -> None:
        with self._lock:
            self.operations.append(operation)

    def opened(self, name: str) -> int:
        with self._lock:
            if name not in self._names:
                self._files += 1
                self._names[name] = self._files
                self.operations.append(Create(name, self._files))
            return self._names[name]

    def deleted(self, name: str, *, names: bool) -> None:
        with self._lock:
            del self._names[name]
            self.operations.append(Delete(name))
            if names:
                self.operations.append(SyncNames())

    def acknowledge(self, changes: int) -> None:
        with self._lock:
            self.acknowledged.append((len(self.operations), changes))


class RecordingVFS(apsw.VFS):
    def __init__(self, log: Log, name: str) -> None:
        super().__init__(name, base="")
        self.log = log

    def xOpen(  # noqa: N802  # APSW's name
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> apsw.VFSFile:
        if name is None:  # a temporary file
            return super().xOpen(name, flags)
        return RecordingFile(self.log, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001, N802  # APSW's
        super().xDelete(filename, syncdir)
        self.log.deleted(Path(filename).name, names=bool(syncdir))


class RecordingFile(apsw.VFSFile):
    def __init__(self, log: Log, name: str | apsw.URIFilename, flags: list[int]) -> None:
        asked = flags[0]
        super().__init__("", name, flags)
        path = name if isinstance(name, str) else name.filename()
        self.log = log
        self.file = log.opened(Path(path).name)
        self.owes_names = bool(asked & WITH_DIRECTORY) and bool(asked & apsw.SQLITE_OPEN_CREATE)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802  # APSW's name
        super().xWrite(data, offset)
        self.log.add(Write(self.file, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802  # APSW's name
        super().xTruncate(newsize)
        self.log.add(Truncate(self.file, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802  # APSW's name
        super().xSync(flags)
        self.log.add(Sync(self.file))
        if self.owes_names:
            self.log.add(SyncNames())
            self.owes_names = False
