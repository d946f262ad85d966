"""What a flow reads and saves by ``turn.records``: its own, under its own prefix."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from attrs import frozen

from durable.records import UserRecord, user_key
from durable.store import Commit, Conflict, PlatformChatSequence, Store
from durable.store.codec import to_json
from durable.turn_records import TurnRecords
from fsm import TurnError
from fsm.records import Records
from fsm.values.ids import UserId

ALICE = UserId("@alice:x")


@frozen
class Note:
    text: str


@frozen
class Mark:
    at: int


class Plain:
    """Nothing that JSON has a form for."""


@asynccontextmanager
async def records_of(store: Store, flow: str = "pizza") -> AsyncIterator[Records]:
    """One turn of the flow; it is committed at the end, unless that is an error."""
    async with TurnRecords(store, PlatformChatSequence(store)) as records:
        yield records.of_flow(flow)
        await store.commit(Commit(expected=records.expected, writes=records.writes))


async def quarantined(store: Store) -> int:
    return (await store.restart_report([])).quarantined


async def test_records_are_stored_under_the_name_of_their_flow(store: Store) -> None:
    async with records_of(store) as records:
        records.save("a", Note("one"))

    assert await store.read_texts("") == {"record:pizza:a": '{"text":"one"}'}


async def test_what_one_turn_saves_the_next_one_reads_finds_and_deletes(store: Store) -> None:
    async with records_of(store) as records:
        records.save("a:1", Note("one"))
        records.save("a:2", Note("two"))
        records.save("b", Mark(1))

    async with records_of(store) as records:
        assert await records.read(Note, "a:1") == Note("one")
        assert records.find(Note, "a:1") == Note("one")
        assert await records.read(Note, "c") is None
        assert await records.all(Note, "a:") == {"1": Note("one"), "2": Note("two")}
        assert records.find(Note, "a:3") is None
        records.save("a:1", None)
        records.save("a:3", Note("three"))
        assert await records.all(Note, "a:") == {"2": Note("two"), "3": Note("three")}

    async with records_of(store) as records:
        assert await records.read(Note, "a:1") is None
        assert await records.read(Note, "a:3") == Note("three")


async def test_what_was_not_read_in_this_turn_is_told_under_the_flows_own_key(store: Store) -> None:
    async with records_of(store) as records:
        with pytest.raises(
            TurnError, match=r"under 'a' was not .*turn\.records\.read\(Note, 'a'\)"
        ):
            records.find(Note, "a")


async def test_a_flow_sees_neither_the_bots_records_nor_another_flows(store: Store) -> None:
    user = UserRecord(next_chat_index=3)
    await store.commit(Commit(writes={user_key(ALICE): to_json(user)}))
    async with records_of(store, "salad") as records:
        records.save("a", Note("theirs"))

    async with records_of(store) as records:
        assert await records.all(Note) == {}
        assert await records.read(Note, user_key(ALICE)) is None
        assert await records.read(Note, "a") is None
        records.save(user_key(ALICE), Note("mine"))
        records.save("platform_chat_seq", Note("mine"))
        records.save("flow:pizza:!room", None)

    assert (await store.read(UserRecord, user_key(ALICE))).value == user
    assert await quarantined(store) == 0
    async with records_of(store, "salad") as records:
        assert await records.all(Note) == {"a": Note("theirs")}


async def test_a_flow_whose_name_begins_with_anothers_has_its_own(store: Store) -> None:
    async with records_of(store, "pizza-2") as records:
        records.save("a", Note("two"))

    async with records_of(store) as records:
        assert await records.all(Note) == {}


async def test_a_record_of_another_class_is_an_error_that_loses_nothing(store: Store) -> None:
    async with records_of(store) as records:
        records.save("a", Note("one"))

    async with records_of(store) as records:
        for read in (lambda: records.read(Mark, "a"), lambda: records.all(Mark)):
            with pytest.raises(TurnError, match="pizza's record under 'a' is no Mark"):
                await read()
        with pytest.raises(TurnError, match="it is left as it is"):
            records.find(Mark, "a")

    assert await quarantined(store) == 0
    async with records_of(store) as records:
        assert await records.read(Note, "a") == Note("one")


@pytest.mark.parametrize("record", [Plain(), Note(7), [Plain()]])  # type: ignore[arg-type]
async def test_what_could_not_be_read_back_is_not_saved(store: Store, record: object) -> None:
    async with records_of(store) as records:
        with pytest.raises(TurnError, match="pizza under 'a' can't keep"):
            records.save("a", record)

    assert await store.read_texts("") == {}


async def test_a_record_that_is_changed_in_place_is_not_saved(store: Store) -> None:
    async with records_of(store) as records:
        records.save("a", ["one"])

    async with records_of(store) as records:
        found = await records.read(list, "a")
        assert found == ["one"]
        found.append("two")
        assert await records.read(list, "a") == ["one"]


async def test_two_turns_that_change_one_record_do_not_overwrite_one_another(store: Store) -> None:
    async def change_late() -> None:
        async with records_of(store) as late:
            await late.read(Note, "a")
            async with records_of(store) as early:
                await early.read(Note, "a")
                early.save("a", Note("early"))
            late.save("a", Note("late"))

    with pytest.raises(Conflict):
        await change_late()

    async with records_of(store) as records:
        assert await records.read(Note, "a") == Note("early")
        assert await records.next_platform_chat_id() == "1"
