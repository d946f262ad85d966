import asyncio
from pathlib import Path

import pytest
from attrs import evolve

from durable import (
    AlreadyHandled,
    Commit,
    Conflict,
    Handled,
    Reopened,
    Store,
    Stream,
)
from durable.records import IssuedNumber
from durable.store.errors import StoreClosed
from fsm.outbox import EditRow, OutboxRow
from fsm.values.ids import EventId, TransactionId
from tests.support.store.opening import ASKED, ROOM, contents, open_store, plain, row


async def value(store: Store, key: str) -> str | None:
    return (await store.read(IssuedNumber, key)).text


async def test_a_commit_is_read_back_at_once(store: Store) -> None:
    await store.commit(Commit(writes={"a": "1", "b": "2"}))
    await store.commit(Commit(writes={"a": None, "b": "3"}))

    assert (await value(store, "a"), await value(store, "b")) == (None, "3")


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
                stream_begins=Stream(ASKED, ROOM),
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


async def test_the_rows_of_a_commit_come_back_with_their_places(store: Store) -> None:
    first, second = await store.commit(Commit(outbox=(row("one"), row("two"))))

    assert first.position < second.position
    assert first == evolve(row("one"), position=first.position, created_at_ms=first.created_at_ms)
    assert (first, second) == await store.owed()


async def test_a_repeat_of_a_turn_adds_no_second_row(store: Store) -> None:
    (first,) = await store.commit(Commit(outbox=(row("t"),)))
    (again,) = await store.commit(Commit(outbox=(row("t"),)))

    assert first == again
    assert (first,) == await store.owed()


async def test_a_delivered_row_is_gone_and_its_place_is_not_used_again(store: Store) -> None:
    (first,) = await store.commit(Commit(outbox=(row("one"),)))
    await store.delivered(first, EventId("$sent"))
    (second,) = await store.commit(Commit(outbox=(row("two"),)))

    assert (second,) == await store.owed()
    assert second.position > first.position


async def test_a_hopeless_row_is_kept_out_of_the_queue(store: Store, path: Path) -> None:
    (hopeless, _) = await store.commit(Commit(outbox=(row("one"), row("two"))))

    await store.park_row(hopeless, "403 not in the room")

    assert [owed.transaction_id for owed in await store.owed()] == ["two"]
    with plain(path) as db:
        (error,) = db.execute("SELECT parked_error FROM outbox WHERE parked_error NOT NULL")
    assert error == ("403 not in the room",)


async def test_an_answer_that_shows_has_its_head_when_its_first_row_is_delivered(
    store: Store,
) -> None:
    (begin,) = await store.commit(
        Commit(stream_begins=Stream(ASKED, ROOM), outbox=(row("t", stream_of=ASKED),))
    )
    begun = await store.stream(ASKED)

    await store.delivered(begin, EventId("$head"))

    assert begun == Stream(ASKED, ROOM, None)
    assert await store.stream(ASKED) == Stream(ASKED, ROOM, EventId("$head"))


async def test_an_answer_that_begins_again_keeps_its_head(store: Store) -> None:
    begins = Commit(stream_begins=Stream(ASKED, ROOM), outbox=(row("t", stream_of=ASKED),))
    (begin,) = await store.commit(begins)
    await store.delivered(begin, EventId("$head"))

    await store.commit(begins)

    assert await store.stream(ASKED) == Stream(ASKED, ROOM, EventId("$head"))


async def test_the_last_edit_of_an_answer_knows_its_first_message_once_that_is_delivered(
    store: Store,
) -> None:
    """It may lie too far back to be found in the room, when the bot starts again."""
    edit, other = _edit("edit", sent_as="head"), _edit("other", sent_as="another head")
    [head] = await store.commit(Commit(outbox=(row("head", stream_of=ASKED),)))
    await store.commit(Commit(outbox=(edit, other)))

    await store.delivered(head, EventId("$head"))

    assert [_known(row) for row in await store.owed()] == ["$head", None]


def _edit(name: str, *, sent_as: str) -> EditRow:
    return EditRow(
        transaction_id=TransactionId(name),
        room_id=ROOM,
        content={},
        sent_as=TransactionId(sent_as),
    )


def _known(row: OutboxRow) -> EventId | None:
    assert isinstance(row, EditRow)
    return row.edits


async def test_an_answer_whose_first_message_is_set_aside_has_not_begun(store: Store) -> None:
    begun = Commit(outbox=(row("head", stream_of=ASKED),), stream_begins=Stream(ASKED, ROOM))
    [head] = await store.commit(begun)

    await store.park_row(head, "403")

    assert await store.stream(ASKED) is None


async def test_a_row_that_was_set_aside_is_owed_again_when_its_turn_comes_again(
    store: Store,
) -> None:
    [stored] = await store.commit(Commit(outbox=(row("join"),)))
    await store.park_row(stored, "403")

    await store.commit(Commit(outbox=(row("join"),)))

    assert await store.owed() == (stored,)


async def test_an_answer_that_ends_is_forgotten(store: Store) -> None:
    await store.commit(Commit(stream_begins=Stream(ASKED, ROOM)))

    await store.commit(Commit(stream_ends=ASKED, handled=Handled(ASKED, ROOM)))

    assert await store.stream(ASKED) is None


async def test_a_reopened_event_waits_for_its_second_handling_and_need_not_come_again(
    store: Store,
) -> None:
    await store.commit(Commit(handled=Handled(ASKED, ROOM)))
    later = Reopened(EventId("$later"), ROOM, 1)
    await store.commit(Commit(reopens=(Reopened(ASKED, ROOM, 1), later)))
    comes_for_nothing = await store.is_handled(ASKED)
    waiting = await store.reopened()

    await store.commit(Commit(handled=Handled(ASKED, ROOM)))

    assert comes_for_nothing
    assert waiting == (Reopened(ASKED, ROOM, 1), later)
    assert await store.reopened() == (later,)
    assert await store.is_handled(ASKED)


async def test_a_reopened_event_that_is_gone_can_be_closed(store: Store) -> None:
    await store.commit(Commit(reopens=(Reopened(ASKED, ROOM, 1),)))

    await store.commit(Commit(closes=ASKED))

    assert await store.reopened() == ()


async def test_one_turns_conflict_costs_those_beside_it_nothing(store: Store) -> None:
    commits = [
        Commit(expected={"a": "stale"} if i % 3 == 0 else {}, writes={f"k{i}": str(i)})
        for i in range(300)
    ]

    results = await asyncio.gather(*map(store.commit, commits), return_exceptions=True)

    assert [i % 3 == 0 for i in range(300)] == [isinstance(r, Conflict) for r in results]
    for i in range(300):
        assert await value(store, f"k{i}") == (None if i % 3 == 0 else str(i))


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
        await store.checkpoint()
