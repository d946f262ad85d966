import asyncio

import pytest

from durable.records import RoomRecord, room_key
from durable.store import Commit, PlatformChatSequence, Store, to_json
from fsm.values.ids import PlatformChatId, RoomId
from tests.support.store.opening import ROOM


def room(platform_chat_id: str, name: str = "!a:example.org") -> dict[str, str | None]:
    record = RoomRecord(platform_chat_id=PlatformChatId(platform_chat_id))
    return {room_key(RoomId(name)): to_json(record)}


async def test_numbers_begin_at_one_and_go_up(store: Store) -> None:
    sequence = PlatformChatSequence(store)

    assert [await sequence.allocate() for _ in range(3)] == ["1", "2", "3"]


@pytest.mark.parametrize("ids", [["9", "42", "10"], ["42", "abc", "", "-7", "4.5", "\uff11"]])
async def test_rooms_written_by_hand_hold_their_numbers(store: Store, ids: list[str]) -> None:
    for i, platform_chat_id in enumerate(ids):
        await store.commit(Commit(writes=room(platform_chat_id, f"!{i}:example.org")))

    assert await PlatformChatSequence(store).allocate() == "43"


async def test_a_number_is_issued_by_the_commit_that_carries_it(store: Store) -> None:
    sequence = PlatformChatSequence(store)

    async with sequence.next() as unused:
        pass
    async with sequence.next() as used:
        await store.commit(
            Commit(
                expected={**used.expected, room_key(ROOM): None},
                writes={**used.writes, **room(used.platform_chat_id)},
            )
        )

    assert unused.platform_chat_id == used.platform_chat_id == "1"
    assert await sequence.allocate() == "2"


async def test_concurrent_turns_get_numbers_of_their_own(store: Store) -> None:
    sequence = PlatformChatSequence(store)

    numbers = await asyncio.gather(*(sequence.allocate() for _ in range(200)))

    assert [str(n) for n in range(1, 201)] == sorted(numbers, key=int)
