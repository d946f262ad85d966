"""What the power left of a file that was being made is emptied; a file of anybody's is not."""

from pathlib import Path

import pytest

from durable.store import SqliteStore, StoreError
from tests.crash.power.adapter import connecting
from tests.crash.power.disk import Disk, Files
from tests.crash.power.recording import Log, RecordingVFS, Write
from tests.support.store.opening import noon, open_store

NAME = "lambda_matrix.db"


async def files_of_a_first_start(folder: Path) -> Files:
    """Cut where the first page was about to be synced."""
    log = Log()
    vfs = RecordingVFS(log, "recording-first-start")
    connect = connecting(log, "recording-first-start")
    await (await SqliteStore.open(folder / NAME, now=noon, connect=connect)).close()
    vfs.unregister()
    disk = Disk()
    for operation in log.operations:
        disk.do(operation)
        if operation == Write(1, 0, getattr(operation, "data", b"")):
            return disk.after_cut(disk.pending)
    raise AssertionError


async def test_a_first_page_of_which_a_part_is_missing_is_made_anew(tmp_path: Path) -> None:
    left = await files_of_a_first_start(tmp_path / "first")
    for name, contents in left.items():
        (tmp_path / name).write_bytes(contents)
    (tmp_path / NAME).write_bytes(bytes(512) + left[NAME][512:])

    store = await open_store(tmp_path / NAME)

    assert await store.outbox.pending_rows() == ()
    await store.close()


async def test_a_file_put_beside_such_a_journal_stays_as_it_is(tmp_path: Path) -> None:
    left = await files_of_a_first_start(tmp_path / "first")
    whole = (tmp_path / "first" / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(whole)
    for name in (f"{NAME}-journal", f"{NAME}-wal"):
        (tmp_path / name).write_bytes(left.get(name, b""))

    with pytest.raises(StoreError):
        await open_store(tmp_path / NAME)

    assert (tmp_path / NAME).read_bytes() == whole
