"""The lock of the data folder, and the cleanup after a failed first start."""

import fcntl
import os
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from durable.store.errors import DataFolderInUse, FolderNotWritable


class DataLock:
    """An exclusive lock of one process on a database's folder. Use as a context manager.

    The lock is an ``flock`` on a file in the folder, which the kernel releases when the process
    ends, even by SIGKILL. The file contains the process id. The process id and the file's date are
    used only in the message of ``DataFolderInUse``.

    Args:
        database: The database file. The lock file is beside it: its name with ``.lock`` at the end.

    Raises:
        DataFolderInUse: Another process uses the folder.
        FolderNotWritable: The folder can't be created or written.
    """

    def __init__(self, database: Path) -> None:
        self._folder = database.absolute().parent
        self._path = database.with_name(f"{database.name}.lock")
        self._file: int | None = None
        self.made_folder = False
        """Whether ``acquire`` has created the folder."""

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
        """Create the folder if it is missing, and lock it.

        Raises:
            DataFolderInUse: Another process has locked the folder.
            FolderNotWritable: The folder can't be created or written.
        """
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
        """Unlock the folder. The lock file stays.

        If it were removed, two processes could each lock a file of that name.
        """
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
            # O_CLOEXEC: a child process must not keep the lock
            # O_NOFOLLOW: with a link in its place, the bot would empty another file
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
    with suppress(ValueError):  # the holder may not have written it yet
        return int(os.pread(file, 100, 0)), since
    return None, since


def make_folder(folder: Path) -> None:
    """Create ``folder`` and its missing parents. Only the owner can read ``folder``.

    If the folder exists and belongs to the user of this process, it is made private too.

    The parent of each new folder is fsynced. Otherwise the new folder and everything in it may be
    lost at a power failure.

    Raises:
        OSError: The folder can't be created.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_mode & 0o077 and found.st_uid == os.geteuid():
        folder.chmod(0o700)
    for path in missing:
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)


class FirstStart:
    """Removes what the first start of a bot has created if that start fails.

    Use as a context manager, while the folder is locked. If the context ends with an exception, and
    the folder was empty before except for the lock file, the content of the folder is deleted.
    After a call of ``succeeded``, nothing is deleted.

    Args:
        database: The database file. The bot's other data is in the same folder.
        lock: The folder's lock. If the lock has created the folder, the folder is deleted too;
            otherwise the folder and the lock file are kept.
    """

    def __init__(self, database: Path, lock: DataLock) -> None:
        self._folder = database.parent
        self._lock = lock
        self._lock_name = f"{database.name}.lock"
        self._is_undone = False

    def __enter__(self) -> Self:
        self._is_undone = {path.name for path in self._folder.iterdir()} <= {self._lock_name}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._is_undone or error is None:
            return
        if self._lock.made_folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            return
        for path in self._folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != self._lock_name:
                path.unlink(missing_ok=True)

    def succeeded(self) -> None:
        """Keep all files, even if the context manager ends with an exception."""
        self._is_undone = False
