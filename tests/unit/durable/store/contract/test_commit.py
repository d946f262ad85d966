import asyncio

from attrs import evolve

from durable.records import IssuedNumber
from durable.store import (
    Commit,
    Conflict,
    Handled,
    Reopened,
    Store,
    UnfinishedAnswer,
)
from fsm.outbox import EditRow, OutboxRow
from fsm.values.ids import EventId, TransactionId
from tests.support.store.opening import ASKED, ROOM, row


async def value(store: Store, key: str) -> str | None:
    return (await store.read(IssuedNumber, key)).text


async def test_a_commit_is_read_back_at_once(store: Store) -> None:
    await store.commit(Commit(writes={"a": "1", "b": "2"}))
    await store.commit(Commit(writes={"a": None, "b": "3"}))

    assert (await value(store, "a"), await value(store, "b")) == (None, "3")


async def test_the_rows_of_a_commit_come_back_with_their_places(store: Store) -> None:
    first, second = await store.commit(Commit(outbox=(row("one"), row("two"))))

    assert first.position < second.position
    assert first == evolve(row("one"), position=first.position, created_at_ms=first.created_at_ms)
    assert (first, second) == await store.outbox.pending_rows()


async def test_a_repeat_of_a_turn_adds_no_second_row(store: Store) -> None:
    (first,) = await store.commit(Commit(outbox=(row("t"),)))
    (again,) = await store.commit(Commit(outbox=(row("t"),)))

    assert first == again
    assert (first,) == await store.outbox.pending_rows()


async def test_a_delivered_row_is_gone_and_its_place_is_not_used_again(store: Store) -> None:
    (first,) = await store.commit(Commit(outbox=(row("one"),)))
    await store.outbox.mark_delivered(first, EventId("$sent"))
    (second,) = await store.commit(Commit(outbox=(row("two"),)))

    assert (second,) == await store.outbox.pending_rows()
    assert second.position > first.position


async def test_an_answer_that_shows_has_its_head_when_its_first_row_is_delivered(
    store: Store,
) -> None:
    (begin,) = await store.commit(
        Commit(stream_begins=UnfinishedAnswer(ASKED, ROOM), outbox=(row("t", stream_of=ASKED),))
    )
    begun = await store.stream(ASKED)

    await store.outbox.mark_delivered(begin, EventId("$head"))

    assert begun == UnfinishedAnswer(ASKED, ROOM, None)
    assert await store.stream(ASKED) == UnfinishedAnswer(ASKED, ROOM, EventId("$head"))


async def test_an_answer_that_begins_again_keeps_its_head(store: Store) -> None:
    begins = Commit(
        stream_begins=UnfinishedAnswer(ASKED, ROOM), outbox=(row("t", stream_of=ASKED),)
    )
    (begin,) = await store.commit(begins)
    await store.outbox.mark_delivered(begin, EventId("$head"))

    await store.commit(begins)

    assert await store.stream(ASKED) == UnfinishedAnswer(ASKED, ROOM, EventId("$head"))


async def test_the_last_edit_of_an_answer_knows_its_first_message_once_that_is_delivered(
    store: Store,
) -> None:
    """It may lie too far back to be found in the room, when the bot starts again."""
    edit, other = _edit("edit", sent_as="head"), _edit("other", sent_as="another head")
    [head] = await store.commit(Commit(outbox=(row("head", stream_of=ASKED),)))
    await store.commit(Commit(outbox=(edit, other)))

    await store.outbox.mark_delivered(head, EventId("$head"))

    assert [_known(row) for row in await store.outbox.pending_rows()] == ["$head", None]


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
    begun = Commit(
        outbox=(row("head", stream_of=ASKED),), stream_begins=UnfinishedAnswer(ASKED, ROOM)
    )
    [head] = await store.commit(begun)

    await store.outbox.park_row(head, "403")

    assert await store.stream(ASKED) is None


async def test_a_row_that_was_set_aside_is_owed_again_when_its_turn_comes_again(
    store: Store,
) -> None:
    [stored] = await store.commit(Commit(outbox=(row("join"),)))
    await store.outbox.park_row(stored, "403")

    await store.commit(Commit(outbox=(row("join"),)))

    assert await store.outbox.pending_rows() == (stored,)


async def test_an_answer_that_ends_is_forgotten(store: Store) -> None:
    await store.commit(Commit(stream_begins=UnfinishedAnswer(ASKED, ROOM)))

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

    await store.commit(Commit(cancels_reopened=ASKED))

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
