"""Where the files of a cut are put."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

MEMORY = Path("/dev/shm")  # noqa: S108  # in it, a folder with a name of its own


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory, where there is such a place: thousands of files, each synced by its opener."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)
