"""A first start that fails leaves no trace: an operator's typing error makes no data folder."""

import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from durable.store.lock import DataLock


class FirstStart:
    """Removes what a start has made, if there was nothing before and it does not succeed.

    Use as a context manager, inside the folder's lock.

    Args:
        database: The database file. What else the bot keeps lies in the same folder.
        lock: The folder's lock. A folder that was there before it stays, and the lock's file in it.
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
        """From here on there is state to keep."""
        self._is_undone = False
