from durable.store import Behind, Progress, Store
from fsm.values.ids import RoomId, SyncToken
from tests.support.store.opening import ASKED, ROOM


async def test_a_first_start_has_no_checkpoint(store: Store) -> None:
    assert await store.checkpoint.token() is None


async def test_the_checkpoint_is_the_last_token_that_was_saved(store: Store) -> None:
    await store.checkpoint.save(Progress(token=SyncToken("s1")))
    await store.checkpoint.save(Progress(token=SyncToken("s2"), completed=(ASKED,)))

    assert await store.checkpoint.token() == "s2"


async def test_a_room_is_joined_from_the_checkpoint_on_that_lies_after_the_join(
    store: Store,
) -> None:
    await store.checkpoint.save(Progress(token=SyncToken("s1"), memberships={ROOM: True}))
    assert await store.checkpoint.is_joined(ROOM)
    assert not await store.checkpoint.is_joined(RoomId("!other"))

    await store.checkpoint.save(Progress(token=SyncToken("s2"), memberships={ROOM: False}))
    assert not await store.checkpoint.is_joined(ROOM)


async def test_rooms_are_behind_the_checkpoint_until_they_have_caught_up(store: Store) -> None:
    other, first = RoomId("!other"), Behind(SyncToken("s1"), is_entered=True)
    await store.checkpoint.save(
        Progress(token=SyncToken("s3"), behind={ROOM: first, other: Behind(SyncToken("s2"))})
    )
    assert await store.checkpoint.rooms_behind() == {ROOM: first, other: Behind(SyncToken("s2"))}

    await store.checkpoint.save(Progress(behind={ROOM: Behind(SyncToken("s2")), other: None}))

    assert await store.checkpoint.rooms_behind() == {ROOM: Behind(SyncToken("s2"))}
    assert await store.checkpoint.token() == "s3"
