"""Every statement fails once, in turn: what was acknowledged is there, what failed is not."""

import asyncio
import sqlite3
from pathlib import Path

from durable import Commit, Handled, Store, Stream
from durable.errors import StoreError
from durable.records import IssuedNumber
from tests.durable.opening import ASKED, ROOM, noon, open_store, plain, row


class Faults:
    """Connections of which the ``nth`` statement fails."""

    def __init__(self, nth: int, code: int) -> None:
        self.left = nth
        self.code = code

    def connect(self, path: Path, **options: object) -> sqlite3.Connection:
        return sqlite3.connect(path, factory=self._factory(), **options)  # type: ignore[call-overload,no-any-return]

    def _factory(self) -> type[sqlite3.Connection]:
        faults = self

        class Faulty(sqlite3.Connection):
            def execute(self, *args: object) -> sqlite3.Cursor:  # type: ignore[override]
                faults.left -= 1
                if faults.left == 0:
                    raise faults.error()
                return super().execute(*args)  # type: ignore[arg-type]

        return Faulty

    def error(self) -> sqlite3.OperationalError:
        error = sqlite3.OperationalError("injected")
        error.sqlite_errorcode = self.code
        error.sqlite_errorname = "SQLITE_INJECTED"
        return error


async def live(path: Path, faults: Faults) -> set[str]:
    """A short life; the commits that were acknowledged in it."""
    try:
        store = await Store.open(path, now=noon, connect=faults.connect)
    except StoreError:
        return set()
    turns = [
        Commit(
            expected={f"a{i}": None},
            writes={f"a{i}": "1", f"b{i}": "1"},
            outbox=(row(f"t{i}", stream_of=ASKED),),
            stream_begins=Stream(ASKED, ROOM),
            handled=Handled(ASKED, ROOM) if i == 0 else None,
        )
        for i in range(4)
    ]
    done = await asyncio.gather(*map(store.commit, turns), return_exceptions=True)
    for result in done:
        assert isinstance(result, StoreError | tuple)
        if isinstance(result, tuple):
            await asyncio.gather(store.delivered(result[0], ASKED), return_exceptions=True)
    await store.close()
    return {str(i) for i, result in enumerate(done) if isinstance(result, tuple)}


async def run_with_fault(path: Path, nth: int, code: int) -> bool:
    """Whether the life was too short for the fault."""
    faults = Faults(nth, code)

    acknowledged = await live(path, faults)

    store = await open_store(path)
    present = {
        str(i) for i in range(4) if (await store.read(IssuedNumber, f"a{i}")).text is not None
    }
    twins = {str(i) for i in range(4) if (await store.read(IssuedNumber, f"b{i}")).text is not None}
    await store.close()
    assert acknowledged == present == twins
    with plain(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return faults.left > 0


async def test_a_full_disk_at_any_statement_costs_only_what_was_refused(tmp_path: Path) -> None:
    nth = 1
    while not await run_with_fault(tmp_path / str(nth) / "a.db", nth, sqlite3.SQLITE_FULL):
        nth += 1
    assert nth > 60


async def test_an_io_error_at_any_statement_costs_only_what_was_refused(tmp_path: Path) -> None:
    nth = 1
    while not await run_with_fault(tmp_path / str(nth) / "a.db", nth, sqlite3.SQLITE_IOERR):
        nth += 1
    assert nth > 60
