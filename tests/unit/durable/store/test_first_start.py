from pathlib import Path

import pytest

from durable.store import DataLock, FirstStart


def _start(database: Path, *, succeeds: bool) -> None:
    with DataLock(database) as lock, FirstStart(database, lock) as start:
        database.touch()
        if succeeds:
            start.succeeded()
        raise ConnectionError


def test_a_first_start_that_fails_leaves_no_trace(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError):
        _start(tmp_path / "data" / "lambda_matrix.db", succeeds=False)

    assert list(tmp_path.iterdir()) == []


def test_what_a_start_that_succeeded_has_made_stays(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError):
        _start(tmp_path / "data" / "lambda_matrix.db", succeeds=True)

    assert (tmp_path / "data" / "lambda_matrix.db").exists()


def test_a_later_start_that_fails_removes_nothing(tmp_path: Path) -> None:
    (tmp_path / "data" / "matrix_store").mkdir(parents=True)

    with pytest.raises(ConnectionError):
        _start(tmp_path / "data" / "lambda_matrix.db", succeeds=False)

    assert (tmp_path / "data" / "matrix_store").exists()


def test_a_folder_that_was_there_stays_there(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()

    with pytest.raises(ConnectionError):
        _start(tmp_path / "data" / "lambda_matrix.db", succeeds=False)

    assert [path.name for path in (tmp_path / "data").iterdir()] == ["lambda_matrix.db.lock"]
