import asyncio

import pytest

from durable.records import ROOM_PREFIX, IssuedNumber, RoomRecord, UserRecord, room_key, user_key
from durable.store import (
    AlreadyHandled,
    Behind,
    Commit,
    Conflict,
    Handled,
    Progress,
    QuestionFiles,
    Reopened,
    Store,
    StoreClosed,
    UnfinishedAnswer,
    to_json,
)
from fsm.values.ids import AgentId, EventId, RoomId, SyncToken, TransactionId, UserId
from tests.support.store.opening import ASKED, NOON, ROOM, row
from tests.unit.durable.store.contract.conftest import Open

OTHER = EventId("$other")
EVERYTHING = Commit(
    expected={"a": None},
    writes={"a": "1", "b": "2"},
    outbox=(row("first", stream_of=ASKED), row("second")),
    handled=Handled(ASKED, ROOM),
    question_files=(QuestionFiles(event_id=OTHER, room_id=ROOM, files=(ASKED,)),),
    stream_begins=UnfinishedAnswer(ASKED, ROOM),
    reopens=(Reopened(OTHER, ROOM, 1),),
)


async def assert_empty(store: Store) -> None:
    """Nothing of ``EVERYTHING`` is in the store."""
    assert (await store.read(IssuedNumber, "a")).text is None
    assert (await store.read(IssuedNumber, "b")).text is None
    assert await store.outbox.pending_rows() == ()
    assert await store.handled_among([ASKED, OTHER]) == frozenset()
    assert await store.question_files() == {}
    assert await store.stream(ASKED) is None
    assert await store.reopened() == ()


async def assert_everything(store: Store) -> None:
    """``EVERYTHING`` is in the store."""
    assert (await store.read(IssuedNumber, "a")).value == IssuedNumber(1)
    assert (await store.read(IssuedNumber, "b")).text == "2"
    pending = [pending.transaction_id for pending in await store.outbox.pending_rows()]
    assert pending == ["first", "second"]
    assert await store.handled_among([ASKED, OTHER]) == {ASKED, OTHER}
    assert [files.files for files in (await store.question_files()).values()] == [(ASKED,)]
    assert await store.stream(ASKED) == UnfinishedAnswer(ASKED, ROOM)
    assert await store.reopened() == (Reopened(OTHER, ROOM, 1),)


async def test_a_commit_is_there_when_the_store_is_opened_again(opened: Open) -> None:
    store = await opened()
    await assert_empty(store)
    await store.commit(EVERYTHING)
    await store.close()

    store = await opened()

    await assert_everything(store)
    await store.close()


async def test_a_commit_whose_key_is_not_as_expected_writes_nothing(store: Store) -> None:
    conflicting = Commit(writes={"seen": "1"})
    await store.commit(conflicting)

    with pytest.raises(Conflict) as caught:
        await store.commit(
            Commit(
                expected={"seen": None},
                writes=EVERYTHING.writes,
                outbox=EVERYTHING.outbox,
                handled=EVERYTHING.handled,
                question_files=EVERYTHING.question_files,
                stream_begins=EVERYTHING.stream_begins,
                reopens=EVERYTHING.reopens,
            )
        )

    assert caught.value.key == "seen"
    await assert_empty(store)


async def test_an_event_that_was_handled_is_refused_and_nothing_is_written(store: Store) -> None:
    await store.commit(Commit(handled=Handled(ASKED, ROOM)))

    with pytest.raises(AlreadyHandled):
        await store.commit(Commit(handled=Handled(ASKED, ROOM), writes={"a": "1"}))
    with pytest.raises(AlreadyHandled):
        await store.commit(
            Commit(
                handled=Handled(OTHER, ROOM),
                also_handled=(Handled(ASKED, ROOM),),
                writes={"a": "1"},
            )
        )

    assert (await store.read(IssuedNumber, "a")).text is None
    assert await store.is_handled(ASKED)
    assert not await store.is_handled(OTHER)


async def test_a_commit_deletes_the_row_whose_result_it_has_handled_once(store: Store) -> None:
    await store.commit(Commit(outbox=(row("first"), row("second"))))
    handles_result = Commit(deletes_row=TransactionId("first"))

    await store.commit(handles_result)

    assert [left.transaction_id for left in await store.outbox.pending_rows()] == ["second"]
    with pytest.raises(AlreadyHandled):
        await store.commit(handles_result)


async def test_the_files_of_a_question_are_kept_until_it_is_handled(store: Store) -> None:
    asked = QuestionFiles(event_id=ASKED, room_id=ROOM, files=(OTHER, EventId("$third")))
    await store.commit(Commit(question_files=(asked,)))
    kept = await store.question_files()

    await store.commit(Commit(handled=Handled(ASKED, ROOM)))

    assert kept == {ASKED: asked}
    assert await store.question_files() == {}


async def test_a_parked_row_is_not_pending(store: Store) -> None:
    parked, pending = await store.commit(Commit(outbox=(row("one"), row("two"))))

    await store.outbox.park_row(parked, "403 not in the room")

    assert await store.outbox.pending_rows() == (pending,)


async def test_records_are_read_by_key_by_prefix_and_by_owner(store: Store) -> None:
    alice, bob = UserId("@alice:x"), UserId("@bob:x")
    rooms = {
        room_key(RoomId("!1")): RoomRecord(matrix_user_id=alice),
        room_key(RoomId("!2")): RoomRecord(matrix_user_id=bob),
        room_key(RoomId("!3")): RoomRecord(matrix_user_id=alice),
    }
    writes: dict[str, str | None] = {key: to_json(record) for key, record in rooms.items()}
    await store.commit(Commit(writes=writes | {user_key(alice): to_json(UserRecord())}))

    found = await store.read(RoomRecord, room_key(RoomId("!1")))
    by_prefix = await store.read_all(RoomRecord, ROOM_PREFIX)
    by_owner = await store.read_rooms(RoomRecord, alice)

    assert found.value == rooms["matrix_room:!1"]
    assert found.text == writes["matrix_room:!1"]
    assert {key: stored.value for key, stored in by_prefix.items()} == rooms
    assert list(by_owner) == ["matrix_room:!1", "matrix_room:!3"]


async def test_a_corrupt_record_is_set_aside_and_reads_as_absent(store: Store) -> None:
    corrupt = room_key(ROOM)
    await store.commit(Commit(writes={corrupt: '{"room_type":7}'}))

    stored = await store.read(RoomRecord, corrupt)

    assert (stored.value, stored.text) == (None, None)
    assert await store.read_all(RoomRecord, ROOM_PREFIX) == {}
    assert (await store.restart_report([])).quarantined == 1


async def test_a_value_that_has_changed_is_not_set_aside(store: Store) -> None:
    await store.commit(Commit(writes={"a": "1"}))

    await store.set_aside("a", "2", "an older reading")

    assert (await store.read(IssuedNumber, "a")).text == "1"


async def test_deadlines_that_have_passed_are_found_earliest_first(store: Store) -> None:
    def at(minutes: int) -> str:
        at_ms = int(NOON.timestamp() * 1000) + minutes * 60_000
        deadline = f'{{"at_ms":{at_ms},"room_id":"!r","sender":"@a:x"}}'
        return f'{{"state":"asked","version":1,"record":{{}},"deadline":{deadline}}}'

    await store.commit(
        Commit(
            writes={
                "flow:tea:late": at(-1),
                "flow:tea:early": at(-2),
                "flow:tea:excluded": at(-3),
                "flow:tea:future": at(1),
                "flow:coffee:other": at(-4),
            }
        )
    )

    due = await store.due(["tea"], exclude=["flow:tea:excluded"])

    assert list(due) == ["flow:tea:early", "flow:tea:late"]
    assert due["flow:tea:late"].sender == "@a:x"


async def test_a_secret_is_made_once(opened: Open) -> None:
    store = await opened()
    first = await store.secret()
    await store.close()

    store = await opened()

    assert await store.secret() == first
    assert len(first) >= 32
    await store.close()


async def test_the_report_counts_what_a_restart_finds(opened: Open) -> None:
    store = await opened()
    await store.mark_started()
    await store.commit(EVERYTHING)
    bound = RoomRecord(agent_id=AgentId("gone"))
    await store.commit(Commit(writes={room_key(ROOM): to_json(bound)}))
    await store.checkpoint.save(
        Progress(token=SyncToken("s1"), behind={ROOM: Behind(SyncToken("s0"))})
    )
    await store.close()

    store = await opened()
    report = await store.restart_report([AgentId("here")])
    await store.close()

    assert (report.rooms, report.pending_rows, report.reopened, report.streaming) == (1, 2, 1, 1)
    assert (report.orphaned_rooms, report.orphaned) == (((ROOM, AgentId("gone")),), 1)
    assert (report.checkpoint, report.last_started, report.last_stopped) == ("s1", NOON, NOON)


async def test_a_cancelled_write_happens_whole_or_not_at_all(opened: Open) -> None:
    store = await opened()
    writing = asyncio.ensure_future(store.commit(EVERYTHING))
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await store.close()

    store = await opened()

    if await store.is_handled(ASKED):
        await assert_everything(store)
    else:
        await assert_empty(store)
    await store.close()


async def test_a_closed_store_refuses_everything(opened: Open) -> None:
    store = await opened()
    await store.close()
    await store.close()

    with pytest.raises(StoreClosed):
        await store.commit(EVERYTHING)
    with pytest.raises(StoreClosed):
        await store.checkpoint.token()
    with pytest.raises(StoreClosed):
        await store.parking.retry(ASKED)
    with pytest.raises(StoreClosed):
        await store.outbox.pending_rows()
