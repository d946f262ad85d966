from pathlib import Path

import pytest

from durable.store import errors
from durable.store.errors import (
    AlreadyHandled,
    Conflict,
    CorruptValue,
    DatabaseMoved,
    DataFolderInUse,
    FolderNotWritable,
    NewerSchema,
    NotOurDatabase,
    StoreClosed,
    StoreDamaged,
    StoreDefect,
    StoreError,
    StoreUnavailable,
)
from tests.support.store.opening import ASKED, NOON

FOLDER = Path("/data")
EXAMPLES = [
    (StoreUnavailable("disk full"), "disk full", "free space"),
    (DatabaseMoved(FOLDER), "/data was moved", "Put the file back"),
    (StoreDamaged("page 3"), "page 3", "restore"),
    (StoreDefect("no such table"), "no such table", "report it"),
    (StoreClosed(), "closed", "open it again"),
    (FolderNotWritable(FOLDER, "denied"), "/data", "give the bot's user the right"),
    (NotOurDatabase(FOLDER, "no SQLite file"), "no SQLite file", "move it away"),
    (NewerSchema(FOLDER, 9, 1), "schema 9", "install the newer"),
    (DataFolderInUse(FOLDER, 7, NOON), "process 7 since 2026-01-02", "stop it first"),
    (DataFolderInUse(FOLDER, None, None), "another process;", "stop it first"),
    (CorruptValue("RoomRecord", "not JSON"), "no RoomRecord: not JSON", "correct it"),
    (Conflict("a"), "a changed", "run the turn again"),
    (AlreadyHandled(ASKED), "$asked was dealt with", "skip it"),
]


@pytest.mark.parametrize(("error", "fact", "remedy"), EXAMPLES)
def test_an_error_says_what_happened_and_what_to_do(
    error: StoreError, fact: str, remedy: str
) -> None:
    assert fact in str(error)
    assert remedy in str(error)


def test_every_error_of_the_branch_is_here() -> None:
    classes = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, StoreError)
    }

    assert classes == {type(error).__name__ for error, *_ in EXAMPLES} | {"StoreError"}
