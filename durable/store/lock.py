"""One bot on one data folder: a lock that a dead process no longer holds."""

import fcntl
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from durable.store.errors import DataFolderInUse, FolderNotWritable
from durable.store.folder import make_folder


class DataLock:
    """An exclusive lock on a database's folder. Use as a context manager.

    The kernel frees it with the process, however that ends. What the file says, the holder's
    pid and by its date since when, is only for people.

    Args:
        database: The database file; the lock is a file beside it.

    Raises:
        DataFolderInUse: Another process has the folder.
        FolderNotWritable: It can't be made or written.
    """

    def __init__(self, database: Path) -> None:
        self._folder = database.absolute().parent
        self._path = database.with_name(f"{database.name}.lock")
        self._file: int | None = None
        self.made_folder = False
        """Whether there was no folder before."""

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the folder, or say who has it."""
        file = self._open()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid, since = _holder(file)
            os.close(file)
            raise DataFolderInUse(self._folder, pid, since) from error
        except OSError as error:
            os.close(file)
            raise FolderNotWritable(self._folder, self._reason(error)) from error
        self._file = file
        self._sign(file)

    def release(self) -> None:
        """Give the folder back. The file stays: removing it would let two processes in."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _sign(self, file: int) -> None:
        try:
            os.ftruncate(file, 0)
            os.pwrite(file, str(os.getpid()).encode(), 0)
        except OSError as error:
            self.release()
            raise FolderNotWritable(self._folder, self._reason(error)) from error

    def _open(self) -> int:
        try:
            self.made_folder = not self._folder.exists()
            make_folder(self._folder)
            # O_CLOEXEC: a child of the bot must not hold the folder after it
            # O_NOFOLLOW: a link in its place would have the bot empty another file
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            return os.open(self._path, flags, 0o600)
        except OSError as error:
            raise FolderNotWritable(self._folder, self._reason(error)) from error

    def _reason(self, error: OSError) -> str:
        if self._path.is_symlink() or (self._path.exists() and not self._path.is_file()):
            return f"{self._path.name} in it is no regular file; remove that"
        return error.strerror or str(error)


def _holder(file: int) -> tuple[int | None, datetime | None]:
    since = datetime.fromtimestamp(int(os.fstat(file).st_mtime), UTC)
    with suppress(ValueError):  # the holder may be just about to write it
        return int(os.pread(file, 100, 0)), since
    return None, since
