from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from durable.records import RoomRecord, room_key
from durable.store import Commit, PlatformChatSequence, Store, to_json
from fsm.records import PLATFORM_CHAT_SEQ_KEY
from fsm.values.ids import PlatformChatId, RoomId
from tests.support.store.opening import open_store, plain
from tests.support.store.processes import child, kill, read


def room(platform_chat_id: str, name: str = "!a:example.org") -> dict[str, str | None]:
    record = RoomRecord(platform_chat_id=PlatformChatId(platform_chat_id))
    return {room_key(RoomId(name)): to_json(record)}


@pytest.mark.parametrize("last", ["41", '"41"'])
async def test_the_sequence_goes_on_from_a_number_or_a_text(path: Path, last: str) -> None:
    store = await open_store(path)
    await store.commit(Commit(writes={PLATFORM_CHAT_SEQ_KEY: last}))

    number = await PlatformChatSequence(store).allocate()
    await store.close()

    assert number == "42"
    with plain(path) as db:
        (value,) = db.execute("SELECT value FROM kv WHERE key = ?", (PLATFORM_CHAT_SEQ_KEY,))
    assert value == ("42",)


async def test_a_malformed_room_and_an_endless_number_are_no_obstacle(store: Store) -> None:
    await store.commit(Commit(writes=room("9" * 30) | {room_key(RoomId("!b")): "{"}))
    await store.commit(Commit(writes={room_key(RoomId("!c")): '{"platform_chat_id":7}'}))
    await store.commit(Commit(writes={room_key(RoomId("!d")): '{"platform_chat_id":[1]}'}))
    await store.commit(Commit(writes={room_key(RoomId("!e")): "17"}))

    assert await PlatformChatSequence(store).allocate() == "8"


@pytest.mark.parametrize("harm", ["DELETE FROM kv", "UPDATE kv SET value = '{'"])
async def test_a_lost_sequence_issues_no_number_again(path: Path, harm: str) -> None:
    store = await open_store(path)
    sequence = PlatformChatSequence(store)
    for _ in range(12):
        await sequence.allocate()
    with plain(path) as db:
        db.execute(harm)

    assert await sequence.allocate() == "13"
    await store.close()


@pytest.mark.parametrize(
    ("kills", "allocations"),
    [pytest.param(5, 200, id="5 kills"), pytest.param(50, 1000, id="50 kills")],
)
def test_allocations_and_kills_issue_no_number_twice(
    path: Path, kills: int, allocations: int
) -> None:
    random = Random(1)
    issued: list[int] = []

    for _ in range(kills):
        with child("allocations", path, "10000") as process:
            found = read(process, random.randint(1, 40)) + kill(process)
            issued += [int(number) for number in found]
    with child("allocations", path, str(allocations)) as process:
        issued += [int(number) for number in read(process, allocations)]

    assert len(issued) >= allocations
    assert all(earlier < later for earlier, later in pairwise(issued))
