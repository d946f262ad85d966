"""What every kind of the bot's own records does: for now there is one, over the store."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from attrs import frozen

from durable.records import ROOM_PREFIX, IssuedNumber, RoomRecord, room_key
from durable.store import Commit, PlatformChatSequence, Store
from durable.turn_records import TurnRecords
from fsm import TurnError
from fsm.records import PLATFORM_CHAT_SEQ_KEY, BotRecords
from fsm.values.ids import RoomId, UserId

ALICE, BOB = UserId("@alice:x"), UserId("@bob:x")

NewTurn = Callable[[], AbstractAsyncContextManager[BotRecords]]
"""Begins a turn, and gives its records. They are committed at the end, unless that is an error."""


@frozen
class Note:
    text: str = ""


@frozen
class Mark:
    at: int = 0


def over_a_store(store: Store) -> NewTurn:
    sequence = PlatformChatSequence(store)

    @asynccontextmanager
    async def turn() -> AsyncIterator[BotRecords]:
        async with TurnRecords(store, sequence) as records:
            yield records
            await store.commit(Commit(expected=records.expected, writes=records.writes))

    return turn


@pytest.fixture(params=[over_a_store])
def turn(request: pytest.FixtureRequest, store: Store) -> NewTurn:
    begin: NewTurn = request.param(store)
    return begin


async def test_what_one_turn_saves_the_next_one_reads(turn: NewTurn) -> None:
    async with turn() as records:
        records.save("note:1", Note("one"))

    async with turn() as records:
        assert await records.read(Note, "note:1") == Note("one")
        assert await records.read(Note, "note:2") is None


async def test_what_a_failed_turn_saved_is_not_there(turn: NewTurn) -> None:
    async def fail() -> None:
        async with turn() as records:
            records.save("note:1", Note("one"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    async with turn() as records:
        assert await records.read(Note, "note:1") is None


async def test_a_turn_reads_what_it_has_saved_itself(turn: NewTurn) -> None:
    async with turn() as records:
        records.save("note:1", Note("one"))
        records.save("note:2", Note("two"))
        records.save("note:2", None)

        assert await records.read(Note, "note:1") == Note("one")
        assert await records.read(Note, "note:2") is None
        assert await records.all(Note, "note:") == {"1": Note("one")}


async def test_none_deletes(turn: NewTurn) -> None:
    async with turn() as records:
        records.save("note:1", Note("one"))
    async with turn() as records:
        records.save("note:1", None)

    async with turn() as records:
        assert await records.read(Note, "note:1") is None
        assert await records.all(Note, "note:") == {}


async def test_all_is_what_begins_with_the_prefix_by_the_rest_of_its_key(turn: NewTurn) -> None:
    async with turn() as records:
        records.save("note:1", Note("one"))
        records.save("note:2", Note("two"))
        records.save("mark:1", Mark(1))

    async with turn() as records:
        assert await records.all(Note, "note:") == {"1": Note("one"), "2": Note("two")}


async def test_all_with_an_owner_is_the_rooms_of_this_user(turn: NewTurn) -> None:
    hers, his = RoomRecord(matrix_user_id=ALICE), RoomRecord(matrix_user_id=BOB)
    async with turn() as records:
        records.save(room_key(RoomId("!a")), hers)
        records.save(room_key(RoomId("!b")), his)

    async with turn() as records:
        assert await records.all(RoomRecord, ROOM_PREFIX, owner=ALICE) == {"!a": hers}


async def test_what_was_read_is_found(turn: NewTurn) -> None:
    async with turn() as records:
        records.save("note:1", Note("one"))

    async with turn() as records:
        await records.read(Note, "note:1")
        await records.read(Note, "note:2")

        assert records.find(Note, "note:1") == Note("one")
        assert records.find(Note, "note:2") is None


async def test_what_was_saved_is_found(turn: NewTurn) -> None:
    async with turn() as records:
        records.save("note:1", Note("one"))
        records.save("note:2", None)

        assert records.find(Note, "note:1") == Note("one")
        assert records.find(Note, "note:2") is None


async def test_what_begins_with_a_prefix_that_was_read_is_found(turn: NewTurn) -> None:
    async with turn() as records:
        records.save("note:1", Note("one"))

    async with turn() as records:
        await records.all(Note, "note:")

        assert records.find(Note, "note:1") == Note("one")
        assert records.find(Note, "note:2") is None


async def test_what_was_not_read_in_this_turn_can_not_be_found(turn: NewTurn) -> None:
    async with turn() as records:
        records.save("note:1", Note("one"))

    async with turn() as records:
        for key in ("note:1", "note:2"):
            with pytest.raises(TurnError, match=rf"await turn\.records\.read\(Note, '{key}'\)"):
                records.find(Note, key)


async def test_the_records_of_another_prefix_can_not_be_found(turn: NewTurn) -> None:
    async with turn() as records:
        await records.all(Note, "note:")

        with pytest.raises(TurnError, match="was not read in this turn"):
            records.find(Mark, "mark:1")


async def test_of_all_rooms_only_those_of_the_owner_are_found(turn: NewTurn) -> None:
    hers, his = RoomRecord(matrix_user_id=ALICE), RoomRecord(matrix_user_id=BOB)
    async with turn() as records:
        records.save(room_key(RoomId("!a")), hers)
        records.save(room_key(RoomId("!b")), his)

    async with turn() as records:
        await records.all(RoomRecord, ROOM_PREFIX, owner=ALICE)

        assert records.find(RoomRecord, room_key(RoomId("!a"))) == hers
        with pytest.raises(TurnError, match="was not read in this turn"):
            records.find(RoomRecord, room_key(RoomId("!b")))


async def test_a_record_of_another_class_is_none(turn: NewTurn) -> None:
    async with turn() as records:
        records.save("note:1", Note("one"))

        assert records.find(Mark, "note:1") is None
        assert await records.read(Mark, "note:1") is None


async def test_numbers_rise_from_turn_to_turn(turn: NewTurn) -> None:
    issued = []
    for _ in range(3):
        async with turn() as records:
            issued.append(await records.next_platform_chat_id())

    assert issued == ["1", "2", "3"]


async def test_the_number_of_a_failed_turn_is_issued_again(turn: NewTurn) -> None:
    async def fail() -> None:
        async with turn() as records:
            await records.next_platform_chat_id()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    async with turn() as records:
        assert await records.next_platform_chat_id() == "1"


async def test_a_turn_is_issued_one_number(turn: NewTurn) -> None:
    async with turn() as records:
        await records.next_platform_chat_id()

        with pytest.raises(TurnError, match="has a platform chat id already"):
            await records.next_platform_chat_id()


ENGINES = ["platform_chat_seq", "flow:", "flow:pizza:@alice:x"]


@pytest.mark.parametrize("record", [Note("mine"), None, 7], ids=["save", "delete", "number"])
@pytest.mark.parametrize("key", ENGINES)
async def test_what_the_engine_keeps_no_flow_saves_or_deletes(
    turn: NewTurn, key: str, record: object
) -> None:
    async with turn() as records:
        with pytest.raises(TurnError, match=rf"'{key}' is the engine's to keep; .*turn\."):
            records.save(key, record)


async def test_a_key_that_only_looks_like_the_engines_is_an_authors(turn: NewTurn) -> None:
    async with turn() as records:
        records.save("platform_chat_seq:mine", Note("one"))
        records.save("flows", Note("two"))

    async with turn() as records:
        assert await records.read(Note, "platform_chat_seq:mine") == Note("one")
        assert await records.read(Note, "flows") == Note("two")


@pytest.mark.parametrize("record", [Note("mine"), IssuedNumber(0), None])
async def test_numbers_go_on_rising_after_a_save_under_their_key(
    turn: NewTurn, record: object
) -> None:
    async def overwrite() -> None:
        async with turn() as records:
            records.save(PLATFORM_CHAT_SEQ_KEY, record)

    issued = []
    for _ in range(3):
        async with turn() as records:
            issued.append(await records.next_platform_chat_id())
            with pytest.raises(TurnError, match="next_platform_chat_id"):
                records.save(PLATFORM_CHAT_SEQ_KEY, record)
        with pytest.raises(TurnError, match="next_platform_chat_id"):
            await overwrite()

    assert issued == ["1", "2", "3"]


async def test_a_key_that_a_prefix_covers_is_compared_once_it_was_found_absent(
    store: Store,
) -> None:
    async with TurnRecords(store, PlatformChatSequence(store)) as records:
        await records.all(Note, "note:")
        records.find(Note, "note:1")

    assert records.expected == {"note:1": None}
