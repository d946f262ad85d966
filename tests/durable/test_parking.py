from durable import Commit, Handled, Parked, Reopened, Store, Stream
from fsm.ids import EventId
from tests.durable.opening import ASKED, NOON, ROOM, row


async def test_a_parked_event_is_handled_and_its_room_is_told(store: Store) -> None:
    rows = await store.park_event(ASKED, ROOM, error="ValueError", attempts=5, outbox=(row("t"),))

    assert await store.owed() == rows
    assert await store.is_handled(ASKED)
    assert await store.parked() == (
        Parked(
            event_id=ASKED,
            room_id=ROOM,
            error="ValueError",
            attempts=5,
            parked_at_ms=int(NOON.timestamp() * 1000),
        ),
    )


async def test_parking_again_after_a_crash_is_the_same_parking(store: Store) -> None:
    first = await store.park_event(ASKED, ROOM, error="a", attempts=5, outbox=(row("t"),))
    again = await store.park_event(ASKED, ROOM, error="b", attempts=6, outbox=(row("t"),))

    assert first == again
    assert [(p.error, p.attempts) for p in await store.parked()] == [("b", 6)]


async def test_a_retried_event_is_handled_again_under_a_new_ordinal(store: Store) -> None:
    await store.commit(Commit(handled=Handled(ASKED, ROOM)))
    await store.commit(Commit(reopens=(Reopened(ASKED, ROOM, 3),)))
    await store.park_event(ASKED, ROOM, error="ValueError", attempts=5)
    waiting_while_parked = await store.reopened()

    assert await store.retry_parked(ASKED)

    assert waiting_while_parked == ()
    assert await store.parked() == ()
    assert await store.reopened() == (Reopened(ASKED, ROOM, 4),)


async def test_a_dropped_event_stays_handled(store: Store) -> None:
    await store.commit(Commit(stream_begins=Stream(ASKED, ROOM)))
    await store.park_event(ASKED, ROOM, error="ValueError", attempts=5)

    assert await store.drop_parked(ASKED)

    assert await store.parked() == ()
    assert await store.reopened() == ()
    assert await store.is_handled(ASKED)
    assert await store.stream(ASKED) is None


async def test_what_is_not_parked_can_be_neither_retried_nor_dropped(store: Store) -> None:
    await store.commit(Commit(stream_begins=Stream(ASKED, ROOM)))

    assert not await store.retry_parked(ASKED)
    assert not await store.drop_parked(EventId("$other"))
    assert not await store.drop_parked(ASKED)
    assert await store.stream(ASKED) is not None
