"""The database is what the surface's design says, to anybody's sqlite3."""

import json
import logging
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from durable.records import (
    ChatRecord,
    FlowRecord,
    RoomRecord,
    UserRecord,
    chat_key,
    flow_key,
    room_key,
    user_key,
)
from durable.store import Commit, PlatformChatSequence, SqliteStore, Store, to_json
from fsm.values.ids import AgentId, ChatId, ConversationKey, PlatformChatId, RoomId, UserId
from tests.support.store.opening import ROOM, noon, open_store, plain

ALICE = UserId("@alice:example.org")


async def test_plain_sqlite3_finds_the_documented_keys_and_fields(store: Store, path: Path) -> None:
    chat = ChatRecord(chat_id=ChatId("C1"), name="Чат", room_id=ROOM, created_at="2026-01-02")
    flow = FlowRecord(state="asked", version=1, record={"size": "large"})
    writes = {
        user_key(ALICE): to_json(UserRecord(selected_agent_id=AgentId("agent-2"))),
        room_key(ROOM): to_json(RoomRecord(display_name="Чат 3")),
        chat_key(ALICE, ChatId("C1")): to_json(chat),
        flow_key("pizza", ConversationKey("k")): to_json(flow),
    }

    await store.commit(Commit(expected=dict.fromkeys(writes), writes=writes))
    await PlatformChatSequence(store).allocate()

    with plain(path) as db:
        found = {key: json.loads(value) for key, value in db.execute("SELECT key, value FROM kv")}
    assert found == {
        "matrix_user:@alice:example.org": {
            "space_id": None,
            "next_chat_index": 1,
            "selected_agent_id": "agent-2",
        },
        "matrix_room:!room:example.org": {
            "room_type": "chat",
            "chat_id": None,
            "display_name": "Чат 3",
            "matrix_user_id": None,
            "space_id": None,
            "platform_chat_id": None,
            "agent_id": None,
        },
        "chat:@alice:example.org:C1": {
            "chat_id": "C1",
            "name": "Чат",
            "room_id": ROOM,
            "archived": False,
            "created_at": "2026-01-02",
        },
        "flow:pizza:k": {"state": "asked", "version": 1, "record": {"size": "large"}},
        "platform_chat_seq": 1,
    }


async def test_the_designs_examples_written_by_hand_are_read(path: Path) -> None:
    user = (
        '{"space_id": "!space:example.org", "next_chat_index": 4, "selected_agent_id": "agent-2"}'
    )
    room = (
        '{"room_type": "chat", "chat_id": "C3", "display_name": "Чат 3",'
        ' "matrix_user_id": "@alice:example.org", "space_id": "!space:example.org",'
        ' "platform_chat_id": "42", "agent_id": "agent-2"}'
    )
    with plain(path) as db:
        db.execute("CREATE TABLE kv (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        db.execute("INSERT INTO kv VALUES ('matrix_user:@alice:example.org', ?)", (user,))
        db.execute("INSERT INTO kv VALUES ('matrix_room:!room:example.org', ?)", (room,))

    store = await open_store(path)
    users = await store.read(UserRecord, user_key(ALICE))
    rooms = await store.read(RoomRecord, room_key(ROOM))
    number = await PlatformChatSequence(store).allocate()
    await store.close()

    assert users.value == UserRecord(
        space_id=RoomId("!space:example.org"),
        next_chat_index=4,
        selected_agent_id=AgentId("agent-2"),
    )
    assert rooms.value == RoomRecord(
        chat_id=ChatId("C3"),
        display_name="Чат 3",
        matrix_user_id=ALICE,
        space_id=RoomId("!space:example.org"),
        platform_chat_id=PlatformChatId("42"),
        agent_id=AgentId("agent-2"),
    )
    assert number == "43"


@pytest.mark.parametrize("value", [b"{", b'{"next_chat_index":"4"}', b"\xff\xfe", b""])
async def test_a_corrupt_value_is_set_aside_and_its_owner_begins_anew(
    path: Path, value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    store = await open_store(path)
    with plain(path) as db:
        db.execute("INSERT INTO kv VALUES (?, CAST(? AS TEXT))", (user_key(ALICE), value))

    with caplog.at_level(logging.WARNING):
        stored = await store.read(UserRecord, user_key(ALICE))
    await store.close()

    assert (stored.value, stored.text) == (None, None)
    assert user_key(ALICE) in caplog.text
    with plain(path) as db:
        (aside,) = db.execute("SELECT key, CAST(value AS BLOB) FROM quarantine").fetchall()
        assert aside == (user_key(ALICE), value)
        assert db.execute("SELECT * FROM kv").fetchall() == []


async def test_the_store_runs_with_the_documented_pragmas(path: Path) -> None:
    connections: list[sqlite3.Connection] = []

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        connections.append(sqlite3.connect(*args, **options))
        return connections[-1]

    def pragmas(db: sqlite3.Connection) -> dict[str, object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "query_only")
        return {name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in names}

    store = await SqliteStore.open(path, now=noon, connect=connect)
    [writer, reader] = map(pragmas, connections)
    await store.close()

    assert writer == reader | {"query_only": 0}
    assert reader == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 5000,
        "query_only": 1,
    }
    with plain(path) as db:
        strict = db.execute(
            "SELECT count(*) FROM pragma_table_list WHERE type = 'table' AND NOT strict"
            " AND name NOT LIKE 'sqlite_%'"
        )
        assert strict.fetchone() == (0,)


async def test_nobody_else_may_read_the_files(store: Store, path: Path) -> None:
    await PlatformChatSequence(store).allocate()

    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}

    assert modes == {
        "lambda_matrix.db": 0o600,
        "lambda_matrix.db-wal": 0o600,
        "lambda_matrix.db-shm": 0o600,
    }
