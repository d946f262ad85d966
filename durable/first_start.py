"""A first start that fails leaves no trace: an operator's typing error makes no data folder."""

import shutil
from pathlib import Path
from types import TracebackType
from typing import Self


class FirstStart:
    """Removes what a start has made, if there was nothing before and it does not succeed.

    Use as a context manager, inside the folder's lock.

    Args:
        database: The database file. What else the bot keeps lies in the same folder.
    """

    def __init__(self, database: Path) -> None:
        self._folder = database.parent
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
        if self._is_undone and error is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def succeeded(self) -> None:
        """From here on there is state to keep."""
        self._is_undone = False
