"""From an invite to a Space with a chat in it, and back when something is lost."""

import asyncio

import pytest

from fsm.values.ids import RoomId
from tests.support.limits import HANGS_SECONDS
from tests.support.setup import Setup

pytestmark = pytest.mark.homeserver

SPACES = {"onboarding": "space"}


async def test_an_invite_brings_a_space_with_a_first_chat_that_is_ready_to_answer(
    setup: Setup,
) -> None:
    bot, alice = await setup.bot(rooms=SPACES), await setup.person("alice")

    home = await setup.welcome(alice, bot)
    await alice.asks(home.chat, "hello", r"^\[agent-1 · chat 1\] hello$")

    name = f"{alice.localpart}'s space"
    assert await alice.state(home.space, "m.room.name") == {"name": name}
    assert await alice.state(home.chat, "m.room.name") == {"name": "Chat 1"}
    child = await alice.state(home.space, "m.space.child", home.chat)
    assert child["via"] == ["strandline.test"]
    assert await alice.state(home.chat, "m.space.parent", home.space)
    assert bot.store.get(f"matrix_user:{alice.user_id}") == {
        "space_id": home.space,
        "next_chat_index": 2,
        "selected_agent_id": "agent-1",
    }
    assert bot.store.get(f"matrix_room:{home.chat}") == {
        "room_type": "chat",
        "chat_id": "C1",
        "display_name": "Chat 1",
        "matrix_user_id": alice.user_id,
        "space_id": home.space,
        "platform_chat_id": "1",
        "agent_id": "agent-1",
    }
    chat = bot.store.get(f"chat:{alice.user_id}:C1")
    assert (chat["name"], chat["room_id"], chat["archived"]) == ("Chat 1", home.chat, False)


async def test_a_russian_bot_makes_a_russian_space(setup: Setup) -> None:
    bot = await setup.bot(rooms=SPACES, replies={"language": "ru"})
    alice = await setup.person("alice")

    home = await setup.welcome(alice, bot, greeting="Здравствуйте")

    assert await alice.state(home.chat, "m.room.name") == {"name": "Чат 1"}
    assert bot.store.get(f"matrix_room:{home.chat}")["display_name"] == "Чат 1"


async def test_rooms_are_encrypted_where_the_config_says_so(setup: Setup) -> None:
    bot = await setup.bot(rooms=SPACES | {"encrypted": True, "history_visibility": "joined"})
    alice = await setup.person("alice")

    home = await setup.welcome(alice, bot)

    assert await alice.state(home.chat, "m.room.encryption")
    visibility = await alice.state(home.chat, "m.room.history_visibility")
    assert visibility == {"history_visibility": "joined"}


async def test_two_new_chats_asked_for_at_once_are_two_rooms(setup: Setup) -> None:
    bot, alice = await setup.bot(rooms=SPACES), await setup.person("alice")
    home = await setup.welcome(alice, bot)

    await alice.say(home.chat, "!new Tides")
    await alice.say(home.chat, "!new")

    rooms = [await setup.enter_chat(alice) for _ in range(2)]
    names = [(await alice.state(room, "m.room.name"))["name"] for room in rooms]
    assert sorted(names) == ["Chat 3", "Tides"]
    for room in rooms:
        await alice.asks(room, "hello", r"chat \d+\] hello")
    records = [bot.store.get(f"matrix_room:{room}") for room in (home.chat, *rooms)]
    assert sorted(r["chat_id"] for r in records) == ["C1", "C2", "C3"]
    assert len({r["platform_chat_id"] for r in records}) == 3


async def test_a_chat_whose_room_the_bot_lost_is_made_again_with_its_platform_chat(
    setup: Setup,
) -> None:
    bot, alice = await setup.bot(rooms=SPACES), await setup.person("alice")
    home = await setup.welcome(alice, bot)
    await alice.asks(home.chat, "hello", r"chat 1\] hello")
    await setup.leave_as(bot, home.chat)
    await alice.asks(home.lobby, "!chats", "its room is gone")

    await alice.asks(home.lobby, "!repair", "I am recreating what is missing: Chat 1")

    room = await setup.enter_chat(alice)
    assert room != home.chat
    await alice.asks(room, "hello again", r"^\[agent-1 · chat 1\] hello again$")
    await alice.asks(home.lobby, "!repair", "Nothing is missing")


async def test_a_space_that_the_bot_lost_is_made_again_around_the_chats(setup: Setup) -> None:
    bot, alice = await setup.bot(rooms=SPACES), await setup.person("alice")
    home = await setup.welcome(alice, bot)
    await setup.leave_as(bot, home.space)
    async with asyncio.timeout(HANGS_SECONDS):
        while bot.store.get(f"matrix_user:{alice.user_id}")["space_id"] is not None:
            await asyncio.sleep(0.05)

    await alice.asks(home.chat, "!repair", "I am recreating what is missing")

    space = await setup.enter_space(alice)
    assert space != home.space
    assert (await alice.state(space, "m.space.child", home.chat))["via"]
    await alice.asks(home.chat, "hello", r"chat 1\] hello")


async def test_who_left_everything_and_comes_back_is_invited_to_what_there_is(
    setup: Setup,
) -> None:
    bot, alice = await setup.bot(rooms=SPACES), await setup.person("alice")
    home = await setup.welcome(alice, bot)
    await alice.asks(home.chat, "hello", r"chat 1\] hello")
    for room in (home.chat, home.space, home.lobby):
        await alice.leave(room)

    again = await alice.create_room(invite=[bot.user_id])
    await alice.sees(again, "Hello!")

    assert await setup.enter_space(alice) == home.space
    assert await setup.enter_chat(alice) == home.chat
    await alice.asks(home.chat, "hello again", r"^\[agent-1 · chat 1\] hello again$")


async def test_a_room_that_is_upgraded_takes_its_chat_along(setup: Setup) -> None:
    bot, alice = await setup.bot(rooms=SPACES), await setup.person("alice")
    home = await setup.welcome(alice, bot)
    await alice.asks(home.lobby, "hello", r"chat 2\] hello")

    new = await alice.upgrade(home.lobby)
    await alice.invite(new, bot.user_id)

    await alice.asks(new, "hello again", r"^\[agent-1 · chat 2\] hello again$")
    assert bot.store.get(f"chat:{alice.user_id}:C2")["room_id"] == new
    assert bot.store.rows("SELECT 1 FROM kv WHERE key = ?", f"matrix_room:{home.lobby}") == []


async def test_nobody_takes_over_another_persons_room_by_upgrading_into_it(setup: Setup) -> None:
    bot = await setup.bot(rooms=SPACES)
    alice, mallory = await setup.person("alice"), await setup.person("mallory")
    home, lair = await setup.welcome(alice, bot), await setup.welcome(mallory, bot)
    await alice.asks(home.chat, "hello", r"chat 1\] hello")
    await mallory.asks(lair.lobby, "hello", r"chat 3\] hello")

    content = {"body": "moved", "replacement_room": home.chat}
    await mallory.set_state(lair.lobby, "m.room.tombstone", content)

    await alice.asks(home.chat, "still mine?", r"chat 1\] still mine")
    assert bot.store.get(f"matrix_room:{home.chat}")["matrix_user_id"] == alice.user_id


async def test_a_tombstone_that_names_a_strangers_room_gives_nobody_that_room(
    setup: Setup,
) -> None:
    bot = await setup.bot(rooms=SPACES)
    alice, mallory = await setup.person("alice"), await setup.person("mallory")
    lair = await setup.welcome(mallory, bot)
    await mallory.asks(lair.lobby, "hello", r"chat 2\] hello")
    private = await alice.create_room()
    public = RoomId(
        (await alice.request("POST", "/createRoom", {"preset": "public_chat"}))["room_id"]
    )

    for room in (private, public):
        content = {"body": "moved", "replacement_room": room}
        await mallory.set_state(lair.lobby, "m.room.tombstone", content)
        await mallory.asks(lair.lobby, "still here?", r"chat 2\] still here")

    assert bot.store.rows("SELECT 1 FROM kv WHERE key = ?", f"matrix_room:{private}") == []
    assert await alice.membership(private, bot.user_id) is None
    assert await alice.membership(public, bot.user_id) == "leave"
    assert await alice.timeline(public) == []
    await alice.invite(private, bot.user_id)
    await alice.asks(private, "mine", r"\] mine$")
    assert bot.store.get(f"matrix_room:{private}")["matrix_user_id"] == alice.user_id


async def test_a_replacement_that_the_bot_is_invited_to_later_takes_the_chat_along(
    setup: Setup,
) -> None:
    bot, alice = await setup.bot(rooms=SPACES), await setup.person("alice")
    home = await setup.welcome(alice, bot)
    await alice.asks(home.lobby, "hello", r"chat 2\] hello")
    new = await alice.upgrade(home.lobby)

    await alice.invite(new, bot.user_id)

    await alice.asks(new, "hello again", r"^\[agent-1 · chat 2\] hello again$")
    assert bot.store.rows("SELECT 1 FROM kv WHERE key = ?", f"matrix_room:{home.lobby}") == []


async def test_who_is_forgotten_begins_anew_and_nobody_else_is(setup: Setup) -> None:
    bot = await setup.bot(rooms=SPACES)
    alice, bob = await setup.person("alice"), await setup.person("bob")
    home, others = await setup.welcome(alice, bot), await setup.welcome(bob, bot)
    await alice.asks(home.chat, "hello", r"chat 1\] hello")
    await alice.asks(home.chat, "!forget-me", "Delete everything I store about you")

    await alice.asks(home.chat, "!yes", "I have deleted everything")

    for room in (home.chat, home.space, home.lobby):
        await setup.is_left_by(bot, room)
    kept = "\n".join(f"{key} {value}" for key, value in bot.store.rows("SELECT key, value FROM kv"))
    assert alice.user_id not in kept
    await bob.asks(others.chat, "hello", r"chat 2\] hello")
    fresh = await setup.welcome(alice, bot)
    assert fresh.space != home.space
    await alice.asks(fresh.chat, "hello", r"chat 3\] hello")


async def test_a_bot_that_is_killed_while_it_welcomes_somebody_makes_nothing_twice(
    setup: Setup,
) -> None:
    bot, alice = await setup.bot(rooms=SPACES), await setup.person("alice")
    await alice.create_room(invite=[bot.user_id])
    for pause in (0.1, 0.3, 0.5):
        await asyncio.sleep(pause)
        await bot.kill()
        await bot.start()

    space = await setup.enter_space(alice)
    chat = await setup.enter_chat(alice)

    await alice.asks(chat, "hello", r"chat 1\] hello")
    assert (await alice.state(space, "m.space.child", chat))["via"]
    await asyncio.sleep(1)
    assert await alice.invites() == []
