"""Folders that are there after a power cut."""

import os
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make ``folder`` for its owner alone, and what leads to it, and sync each new name.

    A name that no sync of its folder has covered may be gone after a power cut, with all that was
    written below it.

    Raises:
        OSError: It can't be made.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in missing:
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
