"""What can't be opened is refused with a remedy, and left as it was."""

import asyncio
import shutil
import sqlite3
import threading
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from durable.records import IssuedNumber
from durable.store import (
    Commit,
    FolderNotWritable,
    NewerSchema,
    NotOurDatabase,
    SqliteStore,
    StoreDamaged,
    StoreDefect,
    StoreError,
    StoreUnavailable,
)
from durable.store.sqlite.database import APPLICATION_ID, translate
from durable.store.sqlite.migrations import CURRENT
from tests.support.store.faults import failing_at, sqlite_error
from tests.support.store.opening import contents, mode, noon, open_store, plain
from tests.support.store.processes import child, read


def on_disk(folder: Path) -> dict[str, bytes]:
    """All files but the shared memory, which is rebuilt from the WAL."""
    return {f.name: f.read_bytes() for f in folder.iterdir() if not f.name.endswith("-shm")}


def fill(path: Path, content: bytes) -> None:
    path.write_bytes(content)


async def refused(path: Path, error: type[StoreError]) -> str:
    before = on_disk(path.parent)
    with pytest.raises(error) as caught:
        await open_store(path)
    assert on_disk(path.parent) == before
    return str(caught.value)


async def test_a_new_database_has_the_current_schema(path: Path) -> None:
    await (await open_store(path)).close()

    with plain(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (CURRENT,)
        assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


async def test_opening_twice_changes_nothing(path: Path) -> None:
    await (await open_store(path)).close()
    before = on_disk(path.parent)

    await (await open_store(path)).close()

    assert on_disk(path.parent) == before


async def test_the_data_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "data" / "surface" / "lambda_matrix.db"

    await (await open_store(path)).close()

    assert mode(path) == 0o600


async def test_a_database_that_others_could_read_is_theirs_no_more(path: Path) -> None:
    fill(path, b"")
    assert mode(path) == 0o644

    await (await open_store(path)).close()

    assert mode(path) == 0o600


async def test_a_newer_schema_is_refused(path: Path) -> None:
    await (await open_store(path)).close()
    with plain(path) as db:
        db.execute("PRAGMA user_version = 99")
    with plain(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    message = await refused(path, NewerSchema)

    assert "99" in message
    assert "newer Strandline" in message


async def test_a_newer_schema_that_only_the_wal_has_is_refused(path: Path, tmp_path: Path) -> None:
    await (await open_store(path)).close()
    killed = tmp_path / "killed"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
        shutil.copytree(path.parent, killed, ignore=shutil.ignore_patterns("killed"))

    await refused(killed / path.name, NewerSchema)


@pytest.mark.parametrize("content", [b"SQLite is great", b"x" * 5000, b"SQLite format 3\0"])
async def test_a_file_that_is_no_database_is_refused(path: Path, content: bytes) -> None:
    fill(path, content)

    assert "move it away" in await refused(path, NotOurDatabase)


async def test_another_programs_database_is_refused(path: Path) -> None:
    with plain(path) as db:
        db.execute("CREATE TABLE bookmarks (url TEXT)")

    assert "bookmarks" in await refused(path, NotOurDatabase)


async def test_a_database_marked_as_another_programs_is_refused(path: Path) -> None:
    with plain(path) as db:
        db.execute("PRAGMA application_id = 7")

    assert "0x7" in await refused(path, NotOurDatabase)


async def test_a_database_in_another_encoding_is_refused(path: Path) -> None:
    with plain(path) as db:
        db.execute("PRAGMA encoding = 'UTF-16'")
        db.execute("CREATE TABLE kv (key TEXT PRIMARY KEY, value TEXT NOT NULL)")

    assert "UTF-16" in await refused(path, NotOurDatabase)


async def test_a_disk_without_wal_is_refused(path: Path) -> None:
    def in_memory(_path: Path, **_options: object) -> sqlite3.Connection:
        return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)

    with pytest.raises(StoreUnavailable, match="does not support WAL"):
        await SqliteStore.open(path, now=noon, connect=in_memory)


def test_processes_that_open_a_new_database_at_once_migrate_it_once(path: Path) -> None:
    with ExitStack() as stack:
        openers = [stack.enter_context(child("open_at", path, "go")) for _ in range(6)]
        for opener in openers:
            read(opener, 1)  # ready
        (path.parent / "go").touch()

        assert [read(opener, 1) for opener in openers] == [["opened"]] * 6


async def test_a_cancelled_opening_leaves_nothing_open(path: Path) -> None:
    opened: list[sqlite3.Connection] = []
    may_go_on = threading.Event()

    def slow(path: Path, **_options: object) -> sqlite3.Connection:
        may_go_on.wait(10)
        opened.append(sqlite3.connect(path, isolation_level=None, check_same_thread=False))
        return opened[-1]

    opening = asyncio.ensure_future(SqliteStore.open(path, now=noon, connect=slow))
    await asyncio.sleep(0.01)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    may_go_on.set()

    while len(opened) < 2 or is_open(opened[1]) or is_open(opened[0]):
        await asyncio.sleep(0.001)


def is_open(connection: sqlite3.Connection) -> bool:
    try:
        return connection.total_changes >= 0
    except sqlite3.ProgrammingError:
        return False


async def test_a_damaged_database_is_reported_as_such(path: Path) -> None:
    await (await open_store(path)).close()
    whole = on_disk(path.parent)[path.name]
    fill(path, whole[:100] + b"\xff" * 4000 + whole[4100:])

    assert "backup" in await refused(path, StoreDamaged)


async def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")

    with pytest.raises(FolderNotWritable, match="another folder"):
        await open_store(tmp_path / "data" / "lambda_matrix.db")


async def test_a_folder_that_takes_no_files_is_refused() -> None:
    with pytest.raises(FolderNotWritable):
        await open_store(Path("/proc/lambda_matrix.db"))


async def test_a_migration_that_fails_leaves_the_file_as_it_was(path: Path) -> None:
    with plain(path) as db:
        db.execute("CREATE TABLE kv (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        db.execute("INSERT INTO kv VALUES ('a', '1')")
    before = contents(path)

    for failing in ("CREATE INDEX room_agent", "CREATE TABLE outbox", "PRAGMA user_", "COMMIT"):
        with pytest.raises(StoreUnavailable):
            await SqliteStore.open(path, now=noon, connect=failing_at(failing).connect)
        assert contents(path) == before

    store = await open_store(path)
    assert (await store.read(IssuedNumber, "a")).text == "1"
    await store.close()


def test_every_error_of_sqlite3_has_one_of_ours() -> None:
    errors = {
        error
        for error in vars(sqlite3).values()
        if isinstance(error, type) and issubclass(error, sqlite3.Error)
    }

    translated = {error.__name__: type(translate(error("why"))) for error in errors}

    assert translated == {
        "Error": StoreDefect,
        "DatabaseError": StoreDefect,
        "DataError": StoreDefect,
        "IntegrityError": StoreDefect,
        "InterfaceError": StoreDefect,
        "InternalError": StoreDefect,
        "NotSupportedError": StoreDefect,
        "OperationalError": StoreDefect,
        "ProgrammingError": StoreDefect,
    }


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("FULL", StoreUnavailable),
        ("IOERR", StoreUnavailable),
        ("IOERR_FSYNC", StoreUnavailable),
        ("READONLY", StoreUnavailable),
        ("READONLY_DBMOVED", StoreUnavailable),
        ("BUSY", StoreUnavailable),
        ("LOCKED", StoreUnavailable),
        ("CANTOPEN", StoreUnavailable),
        ("CORRUPT", StoreDamaged),
        ("NOTADB", StoreDamaged),
        ("CONSTRAINT_UNIQUE", StoreDefect),
        ("ERROR", StoreDefect),
    ],
)
def test_what_sqlite_means_decides_what_we_say(name: str, ours: type[StoreError]) -> None:
    error = sqlite_error(f"SQLITE_{name}")

    assert type(translate(error)) is ours
    assert f"SQLITE_{name}: injected" in str(translate(error))


async def test_a_full_disk_fails_every_commit_of_the_group_and_the_next_one_works(
    path: Path,
) -> None:
    store = await SqliteStore.open(path, now=noon)
    with plain(path) as other:
        (size,) = other.execute("PRAGMA page_count").fetchone()
    await store._executor.write(  # noqa: SLF001  # the limit belongs to the connection
        lambda db: db.execute(f"PRAGMA max_page_count = {size}") and None
    )

    with pytest.raises(StoreUnavailable, match="SQLITE_FULL"):
        await store.commit(Commit(writes={"a": "1", "b": "2" * 100_000}))
    await store.commit(Commit(writes={"a": "3"}))

    assert (await store.read(IssuedNumber, "a")).text == "3"
    assert (await store.read(IssuedNumber, "b")).text is None
    await store.close()


async def test_a_data_folder_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)

    await (await open_store(folder / "lambda_matrix.db")).close()

    assert mode(folder) == 0o700
