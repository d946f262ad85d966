"""The database is what the design says, for whoever opens it with another program."""

import json
import sqlite3
from contextlib import closing

import pytest

from tests.support.setup import Setup

pytestmark = pytest.mark.homeserver


async def test_another_program_finds_the_documented_keys_and_fields(setup: Setup) -> None:
    bot = await setup.bot()
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)
    await alice.asks(room, "hello", r"^\[agent-1 · chat 1\] hello$")

    assert bot.store.get(f"matrix_user:{alice.user_id}") == {
        "space_id": None,
        "next_chat_index": 2,
        "selected_agent_id": "agent-1",
    }
    assert bot.store.get(f"matrix_room:{room}") == {
        "room_type": "chat",
        "chat_id": "C1",
        "display_name": "Chat 1",
        "matrix_user_id": alice.user_id,
        "space_id": None,
        "platform_chat_id": "1",
        "agent_id": "agent-1",
    }
    chat = bot.store.get(f"chat:{alice.user_id}:C1")
    assert set(chat) == {"chat_id", "name", "room_id", "archived", "created_at"}
    assert (chat["chat_id"], chat["room_id"], chat["archived"]) == ("C1", room, False)
    assert bot.store.rows("SELECT value FROM kv WHERE key = 'platform_chat_seq'") == [("1",)]
    assert (bot.database.stat().st_mode & 0o777) == 0o600


async def test_the_bot_routes_by_values_that_were_written_by_hand(setup: Setup) -> None:
    bot = await setup.bot(agents=2)
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)
    await bot.kill()
    user = {"space_id": "!space:example.org", "next_chat_index": 4, "selected_agent_id": "agent-2"}
    record = {
        "room_type": "chat",
        "chat_id": "C3",
        "display_name": "Чат 3",
        "matrix_user_id": alice.user_id,
        "space_id": "!space:example.org",
        "platform_chat_id": "42",
        "agent_id": "agent-2",
        "colour": "green",
    }
    with closing(sqlite3.connect(bot.database)) as db, db:
        for key, value in ((f"matrix_user:{alice.user_id}", user), (f"matrix_room:{room}", record)):
            text = json.dumps(value, ensure_ascii=False)
            db.execute("INSERT OR REPLACE INTO kv VALUES (?, ?)", (key, text))

    await bot.start()

    await alice.asks(room, "hello", r"^\[agent-2 · chat 42\] hello$")
    await alice.asks(room, "!archive", "Archive “Чат 3”")
    await alice.asks(room, "!yes", "“Чат 3” is archived")
    assert bot.store.get(f"matrix_room:{room}")["colour"] == "green"
    other = await setup.meet(alice, bot)
    await alice.asks(other, "hello", r"^\[agent-2 · chat 43\] hello$")
    assert bot.store.get(f"matrix_room:{other}")["chat_id"] == "C4"


async def test_a_value_that_does_not_parse_is_set_aside_and_its_owner_asked_again(
    setup: Setup,
) -> None:
    bot = await setup.bot(agents=2)
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)
    await alice.asks(room, "!agent 1", "You selected")
    await alice.asks(room, "hello", r"^\[agent-1 · chat 1\] hello$")
    await bot.kill()
    with closing(sqlite3.connect(bot.database)) as db, db:
        db.execute("UPDATE kv SET value = '{broken' WHERE key LIKE 'matrix_%'")

    await bot.start()

    await alice.asks(room, "hello?", "No agent is selected")
    await alice.asks(room, "!agent 2", "You selected")
    await alice.sees(room, r"^\[agent-2 · chat 2\] hello\?$")
    quarantined = bot.store.rows("SELECT key, value FROM quarantine ORDER BY key")
    assert (f"matrix_room:{room}", "{broken") in quarantined
    assert (f"matrix_user:{alice.user_id}", "{broken") in quarantined
