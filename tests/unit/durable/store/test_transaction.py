import asyncio
from pathlib import Path

import pytest

from durable.store import (
    AlreadyHandled,
    Commit,
    Conflict,
    Handled,
    Reopened,
    Store,
    StoreClosed,
    UnfinishedAnswer,
)
from fsm.values.ids import EventId
from tests.support.store.opening import ASKED, ROOM, contents, open_store, plain, row


@pytest.mark.parametrize("expected", [None, "2"])
async def test_a_value_that_changed_since_it_was_read_is_a_conflict(
    store: Store, path: Path, expected: str | None
) -> None:
    await store.commit(Commit(writes={"a": "1"}))
    before = contents(path)

    with pytest.raises(Conflict) as caught:
        await store.commit(
            Commit(
                expected={"a": expected},
                writes={"a": "9", "b": "9"},
                outbox=(row("t"),),
                handled=Handled(ASKED, ROOM),
                stream_begins=UnfinishedAnswer(ASKED, ROOM),
                reopens=(Reopened(EventId("$other"), ROOM, 1),),
            )
        )

    assert caught.value.key == "a"
    assert contents(path) == before


async def test_an_event_is_handled_once(store: Store, path: Path) -> None:
    await store.commit(Commit(handled=Handled(ASKED, ROOM), writes={"a": "1"}))
    before = contents(path)

    with pytest.raises(AlreadyHandled):
        await store.commit(Commit(handled=Handled(ASKED, ROOM), writes={"a": "2"}))

    assert contents(path) == before
    assert await store.is_handled(ASKED)
    assert not await store.is_handled(EventId("$other"))
    assert await store.handled_among([ASKED, EventId("$other")]) == {ASKED}


async def test_a_hopeless_row_is_kept_out_of_the_queue(store: Store, path: Path) -> None:
    (hopeless, _) = await store.commit(Commit(outbox=(row("one"), row("two"))))

    await store.outbox.park_row(hopeless, "403 not in the room")

    assert [owed.transaction_id for owed in await store.outbox.pending_rows()] == ["two"]
    with plain(path) as db:
        (error,) = db.execute("SELECT parked_error FROM outbox WHERE parked_error NOT NULL")
    assert error == ("403 not in the room",)


async def test_commits_that_wait_together_share_transactions(path: Path, store: Store) -> None:
    pages_before = (path.parent / "lambda_matrix.db-wal").stat().st_size
    await asyncio.gather(*(store.commit(Commit(writes={f"k{i}": "1"})) for i in range(200)))
    together = (path.parent / "lambda_matrix.db-wal").stat().st_size - pages_before

    for i in range(200):
        await store.commit(Commit(writes={f"s{i}": "1"}))
    apart = (path.parent / "lambda_matrix.db-wal").stat().st_size - pages_before - together

    assert together * 5 < apart


async def test_a_cancelled_caller_neither_loses_nor_halves_its_commit(path: Path) -> None:
    store = await open_store(path)
    writing = [
        asyncio.ensure_future(store.commit(Commit(writes={f"a{i}": "1", f"b{i}": "1"})))
        for i in range(50)
    ]
    await asyncio.sleep(0)
    for task in writing[::2]:
        task.cancel()
    await asyncio.gather(*writing, return_exceptions=True)

    await store.close()

    with plain(path) as db:
        (count,) = db.execute("SELECT count(*) FROM kv").fetchone()
    assert count == 100


async def test_closing_finishes_the_commits_that_wait(path: Path) -> None:
    store = await open_store(path)
    waiting = [
        asyncio.ensure_future(store.commit(Commit(writes={f"k{i}": "1"}))) for i in range(600)
    ]
    await asyncio.sleep(0)

    await store.close()

    await asyncio.gather(*waiting)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with plain(path) as db:
        assert db.execute("SELECT count(*) FROM kv").fetchone() == (600,)


async def test_a_cancelled_close_closes_all_the_same(path: Path) -> None:
    store = await open_store(path)
    waiting = asyncio.ensure_future(store.commit(Commit(writes={"a": "1"})))
    closing = asyncio.ensure_future(store.close())
    await asyncio.sleep(0)
    closing.cancel()

    with pytest.raises(asyncio.CancelledError):
        await closing

    await waiting
    await store.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_a_closed_store_says_so(path: Path) -> None:
    store = await open_store(path)
    await store.close()
    await store.close()

    with pytest.raises(StoreClosed, match="open it again"):
        await store.commit(Commit())
    with pytest.raises(StoreClosed):
        await store.checkpoint.token()
