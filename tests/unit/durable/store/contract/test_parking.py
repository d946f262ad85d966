from durable.store import Commit, Handled, Parked, Reopened, Store, UnfinishedAnswer
from fsm.values.ids import EventId
from tests.support.store.opening import ASKED, NOON, ROOM, row


async def test_a_parked_event_is_handled_and_its_room_is_told(store: Store) -> None:
    rows = await store.parking.park_event(
        ASKED, ROOM, error="ValueError", attempts=5, outbox=(row("t"),)
    )

    assert await store.outbox.pending_rows() == rows
    assert await store.is_handled(ASKED)
    assert await store.parking.list_parked() == (
        Parked(
            event_id=ASKED,
            room_id=ROOM,
            error="ValueError",
            attempts=5,
            parked_at_ms=int(NOON.timestamp() * 1000),
        ),
    )


async def test_parking_again_after_a_crash_is_the_same_parking(store: Store) -> None:
    first = await store.parking.park_event(ASKED, ROOM, error="a", attempts=5, outbox=(row("t"),))
    again = await store.parking.park_event(ASKED, ROOM, error="b", attempts=6, outbox=(row("t"),))

    assert first == again
    assert [(p.error, p.attempts) for p in await store.parking.list_parked()] == [("b", 6)]


async def test_a_retried_event_is_handled_again_under_a_new_ordinal(store: Store) -> None:
    await store.commit(Commit(handled=Handled(ASKED, ROOM)))
    await store.commit(Commit(reopens=(Reopened(ASKED, ROOM, 3),)))
    await store.parking.park_event(ASKED, ROOM, error="ValueError", attempts=5)
    waiting_while_parked = await store.reopened()

    assert await store.parking.retry(ASKED)

    assert waiting_while_parked == ()
    assert await store.parking.list_parked() == ()
    assert await store.reopened() == (Reopened(ASKED, ROOM, 4),)


async def test_a_dropped_event_stays_handled(store: Store) -> None:
    await store.commit(Commit(stream_begins=UnfinishedAnswer(ASKED, ROOM)))
    await store.parking.park_event(ASKED, ROOM, error="ValueError", attempts=5)

    assert await store.parking.drop(ASKED)

    assert await store.parking.list_parked() == ()
    assert await store.reopened() == ()
    assert await store.is_handled(ASKED)
    assert await store.stream(ASKED) is None


async def test_a_request_that_was_refused_is_listed_and_can_be_tried_again(store: Store) -> None:
    [refused, other] = await store.commit(Commit(outbox=(row("t"), row("u"))))
    await store.outbox.park_row(refused, "M_FORBIDDEN")
    [parked] = await store.parking.list_parked()

    assert (parked.event_id, parked.error) == ("t", "send: M_FORBIDDEN")
    assert not await store.parking.retry(EventId("u"))
    assert await store.parking.retry(EventId("t"))
    assert await store.outbox.pending_rows() == (refused, other)
    assert await store.parking.list_parked() == ()


async def test_a_request_that_was_refused_can_be_given_up(store: Store) -> None:
    [refused, other] = await store.commit(Commit(outbox=(row("t"), row("u"))))
    await store.outbox.park_row(refused, "M_FORBIDDEN")

    assert not await store.parking.drop(EventId("u"))
    assert await store.parking.drop(EventId("t"))
    assert await store.parking.list_parked() == ()
    assert await store.outbox.pending_rows() == (other,)


async def test_an_invite_that_is_retried_counts_when_it_comes_again(store: Store) -> None:
    invite = EventId("invite:!room:x")
    await store.parking.park_event(invite, ROOM, error="ValueError", attempts=5)

    assert await store.parking.retry(invite)

    assert await store.reopened() == ()
    assert not await store.is_handled(invite)


async def test_what_is_not_parked_can_be_neither_retried_nor_dropped(store: Store) -> None:
    await store.commit(Commit(stream_begins=UnfinishedAnswer(ASKED, ROOM)))

    assert not await store.parking.retry(ASKED)
    assert not await store.parking.drop(EventId("$other"))
    assert not await store.parking.drop(ASKED)
    assert await store.stream(ASKED) is not None
