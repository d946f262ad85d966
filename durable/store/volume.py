"""Warns if the data folder is on a file system that is lost when its container ends.

The mount table of Linux says on which file system a folder is.
"""

import re
from pathlib import Path, PurePosixPath

from attrs import frozen

MOUNTINFO = Path("/proc/self/mountinfo")

_LOST_WITH = {
    "overlay": "the container's own layer, which is lost with the container",
    "aufs": "the container's own layer, which is lost with the container",
    "tmpfs": "tmpfs, which is lost when the container or the machine stops",
    "ramfs": "ramfs, which is lost when the machine stops",
}


@frozen
class Mount:
    """The fields of one line of ``mountinfo`` that are needed here.

    Args:
        point: The mount point.
        filesystem: The type of the file system, as in ``overlay``.
    """

    point: PurePosixPath
    filesystem: str


def volume_warning(folder: Path, *, mountinfo: Path = MOUNTINFO) -> str | None:
    """Return a warning with its remedy if the folder's content would be lost; else None.

    Args:
        folder: The data folder.
        mountinfo: The file with the mount table. If it can't be read, the result is None.
    """
    try:
        table = mountinfo.read_text("utf-8", errors="surrogateescape")
    except OSError:  # not Linux, so not a container
        return None
    return warning_for(PurePosixPath(folder.resolve()), table)


def warning_for(folder: PurePosixPath, mountinfo: str) -> str | None:
    """Return the warning of ``volume_warning``, or None.

    Args:
        folder: The absolute path of the data folder.
        mountinfo: The text of the mount table.
    """
    mount = mount_of(folder, mountinfo)
    if mount is None or mount.filesystem not in _LOST_WITH:
        return None
    return (
        f"{folder} lies on {_LOST_WITH[mount.filesystem]}, and the bot's state with it; "
        f"mount a volume there (docker run -v strandline-data:{folder}) to keep it"
    )


def mount_of(folder: PurePosixPath, mountinfo: str) -> Mount | None:
    """Return the mount that contains the folder; None if no line of the table does.

    That is the mount with the deepest mount point. If several have the same mount point, the one
    that was mounted last counts.
    """
    found: Mount | None = None
    for line in mountinfo.splitlines():
        mount = _parse(line)
        if mount is None or not folder.is_relative_to(mount.point):
            continue
        if found is None or len(mount.point.parts) >= len(found.point.parts):
            found = mount
    return found


def _parse(line: str) -> Mount | None:
    """Parse a line of the mount table; return None if the line has another form.

    The form is ``id parent major:minor root point options … - filesystem …``, see proc(5).
    """
    before, dash, after = line.partition(" - ")
    fields = before.split(" ")
    if not dash or len(fields) < 5:  # noqa: PLR2004  # the point is the fifth
        return None
    point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
    return Mount(PurePosixPath(point), after.split(" ")[0])
