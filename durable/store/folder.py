"""Folders that are there after a power cut."""

import os
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Have ``folder`` for its owner alone: make it, and what leads to it, and sync each new name.

    One that is there and is the process's own is closed to others too.

    A name that no sync of its folder has covered may be gone after a power cut, with all that was
    written below it.

    Raises:
        OSError: It can't be made.
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
