import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from durable.store import DataFolderInUse, DataLock, FolderNotWritable
from tests.support.store.processes import child, kill, read


def test_a_second_process_is_refused_and_told_who_is_first(path: Path) -> None:
    with child("hold_lock", path) as first:
        read(first, 1)

        with pytest.raises(DataFolderInUse) as caught:
            DataLock(path).acquire()

    assert caught.value.folder == path.parent
    assert caught.value.pid == first.pid
    assert caught.value.since is not None
    assert abs((datetime.now(UTC) - caught.value.since).total_seconds()) < 60
    assert f"process {first.pid} since 2" in str(caught.value)


def test_a_killed_process_holds_the_folder_no_more(path: Path) -> None:
    with child("hold_lock", path) as first:
        read(first, 1)
        kill(first)

    with DataLock(path):
        pass


def test_the_folder_is_free_once_it_is_given_back(path: Path) -> None:
    lock = DataLock(path)
    with lock:
        pass
    lock.release()

    with DataLock(path):
        assert (path.parent / "lambda_matrix.db.lock").read_text() == str(os.getpid())


def test_one_process_does_not_have_a_folder_twice(path: Path) -> None:
    with DataLock(path), pytest.raises(DataFolderInUse, match=f"process {os.getpid()}"):
        DataLock(path).acquire()


def test_a_holder_that_has_not_signed_yet_is_a_process_all_the_same(path: Path) -> None:
    lock = path.with_name(f"{path.name}.lock")
    with DataLock(path):
        lock.write_text("")
        os.utime(lock, (time.time(), 0))

        with pytest.raises(DataFolderInUse, match="by another process since 1970-01-01"):
            DataLock(path).acquire()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")

    with pytest.raises(FolderNotWritable):
        DataLock(tmp_path / "data" / "lambda_matrix.db").acquire()


def test_what_can_not_be_written_is_no_lock(path: Path) -> None:
    os.mkfifo(path.with_name(f"{path.name}.lock"))

    with pytest.raises(FolderNotWritable, match="lock in it is no regular file; remove that"):
        DataLock(path).acquire()


def test_a_link_in_the_place_of_the_lock_is_not_followed(path: Path) -> None:
    other = path.with_name("precious")
    other.write_text("of somebody else")
    path.with_name(f"{path.name}.lock").symlink_to(other)

    with pytest.raises(FolderNotWritable, match="lock in it is no regular file; remove that"):
        DataLock(path).acquire()

    assert other.read_text() == "of somebody else"
