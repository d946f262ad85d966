from pathlib import Path, PurePosixPath

import pytest

from durable.store import volume_warning
from durable.store.volume import Mount, mount_of, warning_for

CONTAINER = r"""
2410 1723 0:228 / / rw,relatime master:633 - overlay overlay rw,lowerdir=/a:/b,upperdir=/c
2411 2410 0:231 / /proc rw,nosuid,nodev - proc proc rw
2412 2410 0:232 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k
2419 2410 8:1 /var/lib/docker/volumes/x/_data /data rw,relatime master:1 - ext4 /dev/sda1 rw
2420 2419 0:240 / /data/scratch rw - tmpfs tmpfs rw
2421 2410 8:1 /x /with\040space rw,relatime - ext4 /dev/sda1 rw
2422 2410 0:241 / /twice rw - tmpfs tmpfs rw
2423 2422 8:1 / /twice rw - xfs /dev/sdb1 rw
not a mount
""".strip()


@pytest.mark.parametrize("folder", ["/data", "/data/matrix_store", "/with space", "/twice/a"])
def test_a_volume_needs_no_warning(folder: str) -> None:
    assert warning_for(PurePosixPath(folder), CONTAINER) is None


@pytest.mark.parametrize("folder", ["/app/data", "/", "/database"])
def test_the_containers_own_layer_is_warned_of(folder: str) -> None:
    warning = warning_for(PurePosixPath(folder), CONTAINER)

    assert warning is not None
    assert "the container's own layer" in warning
    assert f"docker run -v strandline-data:{folder}" in warning


@pytest.mark.parametrize("folder", ["/data/scratch", "/dev/shm"])  # noqa: S108
def test_tmpfs_is_warned_of(folder: str) -> None:
    assert "tmpfs" in (warning_for(PurePosixPath(folder), CONTAINER) or "")


def test_an_escaped_mount_point_is_read() -> None:
    assert Mount(PurePosixPath("/with space"), "ext4") == mount_of(
        PurePosixPath("/with space/x"), CONTAINER
    )


def test_no_mount_table_is_no_warning() -> None:
    assert warning_for(PurePosixPath("/data"), "") is None
    assert volume_warning(Path("/data"), mountinfo=Path("/nowhere")) is None


def test_this_machines_mount_table_is_understood(tmp_path: Path) -> None:
    assert volume_warning(Path("/proc")) is None
    assert mount_of(PurePosixPath("/proc"), Path("/proc/self/mountinfo").read_text()) == Mount(
        PurePosixPath("/proc"), "proc"
    )
    assert isinstance(volume_warning(tmp_path), str | None)
