import pytest

from durable.store import Commit, Handled, Progress, Reopened, SqliteStore, Store
from durable.store.sqlite.checkpoint import MAX_HANDLED_PER_ROOM, SqliteCheckpoint
from fsm.values.ids import EventId, RoomId, SyncToken
from tests.support.store.opening import ROOM


async def handle(store: Store, *event_ids: str) -> None:
    for event_id in event_ids:
        await store.commit(Commit(handled=Handled(EventId(event_id), ROOM)))


async def prune(store: Store, *, passed: list[str], keep: int) -> set[str]:
    """Which of the events ``$0`` to ``$9`` are still known once the checkpoint has moved."""
    ids = tuple(EventId(e) for e in passed)
    assert isinstance(store, SqliteStore)
    checkpoint = SqliteCheckpoint(store._executor, max_handled=keep)  # noqa: SLF001
    await checkpoint.save(Progress(token=SyncToken("t"), completed=ids))
    return set(await store.handled_among([EventId(f"${i}") for i in range(10)]))


async def test_handled_events_outlive_the_checkpoint_by_a_window(store: Store) -> None:
    await handle(store, *(f"${i}" for i in range(10)))

    everything = [f"${i}" for i in range(10)]

    await store.checkpoint.save(
        Progress(token=SyncToken("s1"), completed=tuple(EventId(e) for e in everything))
    )
    known = await store.handled_among([EventId(e) for e in everything])

    assert len(known) == 10 < MAX_HANDLED_PER_ROOM
    assert {"$7", "$8", "$9"} == await prune(store, passed=everything, keep=3)


async def test_a_busy_room_has_no_other_rooms_events_forgotten(store: Store) -> None:
    quiet = Handled(EventId("$0"), RoomId("!quiet"))
    await store.commit(Commit(handled=quiet))
    await handle(store, *(f"${i}" for i in range(1, 10)))

    known = await prune(store, passed=[f"${i}" for i in range(10)], keep=3)

    assert known == {"$0", "$7", "$8", "$9"}


async def test_what_is_handled_above_the_checkpoint_shortens_no_window_below_it(
    store: Store,
) -> None:
    await handle(store, *(f"${i}" for i in range(10)))

    known = await prune(store, passed=["$0", "$1", "$2", "$3"], keep=3)

    assert known == {f"${i}" for i in range(1, 10)}


async def test_an_event_above_the_checkpoint_is_never_forgotten(store: Store) -> None:
    await handle(store, *(f"${i}" for i in range(10)))

    assert {f"${i}" for i in range(10)} == await prune(store, passed=[], keep=3)
    assert {"$0", "$2", *(f"${i}" for i in range(4, 10))} == await prune(
        store, passed=["$1", "$3", "$9"], keep=1
    )
    assert {"$7", "$8", "$9"} == await prune(store, passed=[f"${i}" for i in range(10)], keep=3)


@pytest.mark.parametrize("passed", ["before it is reopened", "while it is reopened"])
async def test_an_event_handled_again_is_below_the_checkpoint_if_it_was(
    store: Store, passed: str
) -> None:
    await handle(store, "$0")
    if passed == "before it is reopened":
        await prune(store, passed=["$0"], keep=3)
    await store.commit(Commit(reopens=(Reopened(EventId("$0"), ROOM, 1),)))
    if passed == "while it is reopened":
        await prune(store, passed=["$0"], keep=3)
    await handle(store, *(f"${i}" for i in range(10)))

    assert "$0" not in await prune(store, passed=["$9"], keep=1)


async def test_an_event_handled_again_is_kept_if_it_is_above_the_checkpoint(store: Store) -> None:
    await handle(store, "$0")
    await store.commit(Commit(reopens=(Reopened(EventId("$0"), ROOM, 1),)))
    await handle(store, *(f"${i}" for i in range(10)))

    assert "$0" in await prune(store, passed=["$9"], keep=1)
