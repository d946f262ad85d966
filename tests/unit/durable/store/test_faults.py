"""Every statement fails once, in turn: what was acknowledged is there, what failed is not."""

import asyncio
from pathlib import Path

import pytest

from durable.records import IssuedNumber
from durable.store import (
    Commit,
    DatabaseMoved,
    Handled,
    PlatformChatSequence,
    SqliteStore,
    StoreError,
    UnfinishedAnswer,
)
from tests.support.store.faults import NthFails
from tests.support.store.opening import ASKED, ROOM, noon, open_store, plain, row


async def live(path: Path, disk: NthFails) -> set[str]:
    """A short life; the commits that were acknowledged in it."""
    try:
        store = await SqliteStore.open(path, now=noon, connect=disk.connect)
    except StoreError:
        return set()
    turns = [
        Commit(
            expected={f"a{i}": None},
            writes={f"a{i}": "1", f"b{i}": "1"},
            outbox=(row(f"t{i}", stream_of=ASKED),),
            stream_begins=UnfinishedAnswer(ASKED, ROOM),
            handled=Handled(ASKED, ROOM) if i == 0 else None,
        )
        for i in range(4)
    ]
    done = await asyncio.gather(*map(store.commit, turns), return_exceptions=True)
    for result in done:
        assert isinstance(result, StoreError | tuple)
        if isinstance(result, tuple):
            await asyncio.gather(
                store.outbox.mark_delivered(result[0], ASKED), return_exceptions=True
            )
    await store.close()
    return {str(i) for i, result in enumerate(done) if isinstance(result, tuple)}


async def run_with_fault(path: Path, nth: int, name: str) -> bool:
    """Whether the life was too short for the fault."""
    disk = NthFails(nth, name)

    acknowledged = await live(path, disk)

    store = await open_store(path)
    present = {
        str(i) for i in range(4) if (await store.read(IssuedNumber, f"a{i}")).text is not None
    }
    twins = {str(i) for i in range(4) if (await store.read(IssuedNumber, f"b{i}")).text is not None}
    await store.close()
    assert acknowledged == present == twins
    with plain(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return disk.left > 0


@pytest.mark.parametrize("name", ["SQLITE_FULL", "SQLITE_IOERR", "SQLITE_BUSY"])
async def test_a_fault_at_any_statement_costs_only_what_was_refused(
    tmp_path: Path, name: str
) -> None:
    nth = 1
    while not await run_with_fault(tmp_path / str(nth) / "a.db", nth, name):
        nth += 1
    assert nth > 60


async def test_a_database_that_was_moved_away_is_written_no_more(tmp_path: Path) -> None:
    path = tmp_path / "lambda_matrix.db"
    store = await SqliteStore.open(path, now=noon)
    sequence = PlatformChatSequence(store)
    assert await sequence.allocate() == "1"
    path.rename(tmp_path / "elsewhere.db")

    with pytest.raises(DatabaseMoved, match="moved away or replaced"):
        await sequence.allocate()

    (tmp_path / "elsewhere.db").rename(path)
    assert await sequence.allocate() == "2"
    await store.close()


async def test_a_database_that_was_replaced_is_written_no_more(tmp_path: Path) -> None:
    path = tmp_path / "lambda_matrix.db"
    store = await SqliteStore.open(path, now=noon)
    path.rename(tmp_path / "elsewhere.db")
    path.write_bytes((tmp_path / "elsewhere.db").read_bytes())

    with pytest.raises(DatabaseMoved):
        await PlatformChatSequence(store).allocate()
    await store.close()
