from datetime import timedelta
from pathlib import Path

import pytest

from durable.records import RoomRecord, UserRecord, room_key, user_key
from durable.store import (
    Commit,
    PlatformChatSequence,
    Progress,
    SqliteStore,
    Store,
    UnfinishedAnswer,
    to_json,
)
from fsm.values.ids import AgentId, EventId, PlatformChatId, RoomId, SyncToken, UserId
from tests.support.store.opening import ASKED, NOON, ROOM, contents, noon, open_store, row
from tests.support.store.statements import Statements

HERE, GONE = AgentId("here"), AgentId("gone")


def room(name: str, agent: AgentId | None, number: str | None = None) -> dict[str, str | None]:
    chat = None if number is None else PlatformChatId(number)
    return {room_key(RoomId(name)): to_json(RoomRecord(agent_id=agent, platform_chat_id=chat))}


def user(name: str, agent: AgentId | None) -> dict[str, str | None]:
    return {user_key(UserId(name)): to_json(UserRecord(selected_agent_id=agent))}


async def test_a_new_store_is_a_clean_start(store: Store) -> None:
    report = await store.restart_report([HERE])

    assert report.clean_start
    assert report.next_platform_chat_number == 1
    assert report.checkpoint is None
    assert "clean start" in str(report)
    assert report.fields()["clean_start"] is True


async def test_the_report_says_what_came_back(store: Store) -> None:
    (first, _) = await store.commit(
        Commit(
            writes=room("!a", HERE, "41") | user("@a", HERE) | {"chat:@a:C1": "{}"},
            outbox=(row("one"), row("two")),
            stream_begins=UnfinishedAnswer(ASKED, ROOM),
        )
    )
    await store.outbox.park_row(first, "403")
    await store.parking.park_event(EventId("$p"), ROOM, error="ValueError", attempts=5)
    await store.parking.park_event(EventId("$q"), ROOM, error="ValueError", attempts=5)
    await store.parking.retry(EventId("$q"))
    await store.commit(Commit(writes={user_key(UserId("@b")): "{"}))
    await store.read(UserRecord, user_key(UserId("@b")))
    await store.checkpoint.save(Progress(token=SyncToken("s1")))

    report = await store.restart_report([HERE])

    assert (report.rooms, report.users, report.chats) == (1, 1, 1)
    assert (report.pending_rows, report.parked_rows, report.streaming) == (1, 1, 1)
    assert (report.parked, report.reopened, report.quarantined) == (1, 1, 1)
    assert (report.next_platform_chat_number, report.checkpoint) == (42, "s1")
    assert not report.clean_start
    assert report.orphaned == 0
    assert "restored 1 rooms, 1 users and 1 chats" in str(report)
    assert "1 requests to the homeserver, 1 held messages, 1 answers" in str(report)
    assert "set aside: 1 events and 1 requests" in str(report)
    assert "1 corrupt values" in str(report)


async def test_bindings_to_an_agent_that_is_gone_are_named(store: Store) -> None:
    await store.commit(
        Commit(
            writes=room("!a", HERE)
            | room("!b", GONE)
            | room("!c", None)
            | room("!d", GONE)
            | user("@a", HERE)
            | user("@b", GONE)
            | user("@c", AgentId("lost"))
            | {room_key(RoomId("!e")): "{", user_key(UserId("@d")): '{"selected_agent_id":7}'}
        )
    )

    report = await store.restart_report([HERE])

    assert report.orphaned_rooms == ((RoomId("!b"), GONE), (RoomId("!d"), GONE))
    assert report.orphaned_users == ((UserId("@b"), GONE), (UserId("@c"), AgentId("lost")))
    assert report.orphaned == 4
    assert "4 rooms and users refer to agents that the config does not have (gone, lost)" in str(
        report
    )


async def test_a_thousand_lost_bindings_are_counted_and_a_hundred_named(store: Store) -> None:
    rooms: dict[str, str | None] = {}
    for i in range(1000):
        rooms |= room(f"!{i}", GONE)
    await store.commit(Commit(writes=rooms))

    report = await store.restart_report([HERE])

    assert (len(report.orphaned_rooms), report.orphaned) == (100, 1000)


async def test_loading_changes_nothing_however_often(store: Store, path: Path) -> None:
    await store.commit(Commit(writes=room("!a", GONE, "41") | {"platform_chat_seq": "{"}))
    before = contents(path)

    reports = [await store.restart_report([HERE]) for _ in range(3)]

    assert contents(path) == before
    assert reports[0] == reports[1] == reports[2]


@pytest.mark.parametrize("last", ["50", '"50"'])
async def test_the_next_number_is_above_the_sequence_and_every_room(
    store: Store, last: str
) -> None:
    await store.commit(Commit(writes=room("!a", HERE, "41") | {"platform_chat_seq": last}))

    report = await store.restart_report([HERE])

    assert report.next_platform_chat_number == 51
    assert await PlatformChatSequence(store).allocate() == "51"


async def test_the_report_tells_an_orderly_end_from_a_kill(path: Path) -> None:
    first = await open_store(path)
    await first.mark_started()
    killed = await first.restart_report([HERE])
    await first.close()

    second = await SqliteStore.open(path, now=lambda: NOON + timedelta(hours=1))
    stopped = await second.restart_report([HERE])
    await second.close()

    assert (killed.last_started, killed.last_stopped) == (noon(), None)
    assert (stopped.last_started, stopped.last_stopped) == (noon(), noon())
    assert "was cut off" in str(killed)
    assert "ended in order at 2026-01-02 12:00:00 UTC" in str(stopped)


async def test_a_restart_takes_steps_into_indexes_and_reads_no_record(path: Path) -> None:
    statements = Statements()
    store = await SqliteStore.open(path, now=noon, connect=statements.connect)
    await store.commit(Commit(writes=room("!a", GONE) | user("@a", GONE)))
    await store.restart_report([HERE])
    await store.read_rooms(RoomRecord, UserId("@a"))
    await store.close()

    plans = statements.plans(path, "room", "user", "owned_room")

    assert len(plans) == 8
    assert all(plans.values())
    assert [step for plan in plans.values() for step in plan if "<expr>" not in step] == []
