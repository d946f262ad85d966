"""Chats of one user: begun, listed, renamed, archived, brought back, bound anew."""

import asyncio
from typing import Any

import pytest

from fsm.values.ids import RoomId
from strandline.testing import Person
from tests.support.limits import HANGS_SECONDS
from tests.support.setup import Bot, Home, Setup

pytestmark = pytest.mark.homeserver

SPACES = {"onboarding": "space"}


async def at_home(setup: Setup, **sections: Any) -> tuple[Bot, Person, Home]:
    """Somebody with a Space, in whose first chat an agent has answered as chat 1."""
    bot = await setup.bot(rooms=SPACES, **sections)
    alice = await setup.person("alice")
    home = await setup.welcome(alice, bot)
    await alice.asks(home.chat, "hello", r"chat 1\] hello")
    return bot, alice, home


async def archive(alice: Person, room: RoomId) -> None:
    await alice.asks(room, "!archive", "Archive “")
    await alice.asks(room, "!yes", "is archived")


async def edited(person: Person, room: RoomId, text: str) -> None:
    async with asyncio.timeout(HANGS_SECONDS):
        while not any(e.edits and text in e.body for e in await person.timeline(room)):
            await asyncio.sleep(0.05)


async def test_chats_are_listed_with_agent_last_use_and_link_also_after_a_restart(
    setup: Setup,
) -> None:
    bot, alice, home = await at_home(setup)
    await alice.say(home.chat, "!new Tides")
    tides = await setup.enter_chat(alice)

    listed = await alice.asks(home.chat, "!chats", "Your chats")
    await bot.restart()
    again = await alice.asks(tides, "!chats", "Your chats")

    first, second = listed.body.splitlines()[2:]
    assert first.startswith("1. **Chat 1** ([open it](https://matrix.to/#/!")
    assert "Agent 1, last used 20" in first
    assert second.startswith("2. **Tides** ([open it]")
    assert second.endswith("Agent 1, not used yet")
    assert again.body == listed.body


async def test_a_chat_is_renamed_in_the_room_and_on_record(setup: Setup) -> None:
    bot, alice, home = await at_home(setup)
    await alice.asks(home.chat, "!rename", "Add the new name")

    await alice.asks(home.chat, "!rename  Low   water ", "is now called “Low water”")

    assert await alice.state(home.chat, "m.room.name") == {"name": "Low water"}
    assert bot.store.get(f"chat:{alice.user_id}:C1")["name"] == "Low water"
    await alice.asks(home.lobby, "!chats", r"\*\*Low water\*\*")


async def test_a_room_that_the_bot_may_not_rename_keeps_its_name_and_the_owner_is_told(
    setup: Setup,
) -> None:
    """Nobody has given the bot a right in the room of the invite."""
    bot, alice, home = await at_home(setup)
    await alice.asks(home.lobby, "hello", r"chat 2\] hello")

    refused = await alice.asks(home.lobby, "!rename Low water", "I couldn't rename this chat")

    assert "M_FORBIDDEN" in refused.body
    await bot.settled()
    assert bot.store.get(f"matrix_room:{home.lobby}")["display_name"] == "Chat 2"
    assert bot.store.rows("SELECT * FROM outbox") == []
    levels = await alice.state(home.lobby, "m.room.power_levels")
    levels["users"][bot.user_id] = 50
    await alice.set_state(home.lobby, "m.room.power_levels", levels)
    await alice.asks(home.lobby, "!rename Low water", "is now called “Low water”")
    assert await alice.state(home.lobby, "m.room.name") == {"name": "Low water"}


@pytest.mark.parametrize("how", ["number", "command", "reply", "only one"])
async def test_an_archived_chat_is_brought_back_to_its_room_and_its_platform_chat(
    setup: Setup, how: str
) -> None:
    bot, alice, home = await at_home(setup)
    await archive(alice, home.chat)
    child = await alice.state(home.space, "m.space.child", home.chat)
    await alice.asks(home.chat, "anybody?", "This chat is archived")

    offered = await alice.asks(home.lobby, "!load", "Which chat should I restore")
    match how:
        case "number":
            await alice.say(home.lobby, "1")
        case "command":
            await alice.say(home.lobby, "!load 1")
        case "reply":
            await alice.reply(home.lobby, offered.event_id, "1")
        case _:
            await alice.react(home.lobby, offered.event_id, "✅")

    await alice.sees(home.lobby, "“Chat 1” is restored", after=offered.event_id)
    await alice.asks(home.chat, "and now?", r"^\[agent-1 · chat 1\] and now\?$")
    assert child == {}
    assert (await alice.state(home.space, "m.space.child", home.chat))["via"]
    assert not bot.store.get(f"chat:{alice.user_id}:C1")["archived"]


async def test_a_list_takes_its_numbers_and_leaves_every_other_text_to_the_agent(
    setup: Setup,
) -> None:
    _, alice, home = await at_home(setup)
    await archive(alice, home.chat)
    await alice.asks(home.lobby, "!load 7", "You have no archived chat named “7”")
    await alice.asks(home.lobby, "!load", "Which chat")

    await alice.asks(home.lobby, "7", "There is 1 chat on the list")
    await alice.asks(home.lobby, "what was in it?", r"chat 2\] what was in it")
    await alice.asks(home.lobby, "!no", "no chat was restored")

    await alice.asks(home.lobby, "1", r"chat 2\] 1$")
    await alice.asks(home.chat, "anybody?", "This chat is archived")


async def test_a_list_that_a_restart_forgot_says_so_and_can_be_had_again(setup: Setup) -> None:
    bot, alice, home = await at_home(setup)
    await archive(alice, home.chat)
    offered = await alice.asks(home.lobby, "!load", "Which chat")
    await bot.restart()

    await alice.reply(home.lobby, offered.event_id, "1")
    await alice.sees(home.lobby, "lost this list", after=offered.event_id)
    await edited(alice, home.lobby, "This list expired")
    await alice.asks(home.lobby, "1", r"chat 2\] 1$")

    await alice.asks(home.lobby, "!load", "Which chat")
    await alice.asks(home.lobby, "1", "is restored")


async def test_a_list_that_nobody_answers_says_that_it_lapsed(setup: Setup) -> None:
    _, alice, home = await at_home(setup, limits={"confirmation_seconds": 5.0})
    await archive(alice, home.chat)

    await alice.asks(home.lobby, "!load", "Which chat")

    await edited(alice, home.lobby, "This list expired")


async def test_an_archived_chat_whose_room_is_gone_goes_on_in_a_new_room(setup: Setup) -> None:
    bot, alice, home = await at_home(setup)
    await alice.asks(home.lobby, "I talk here too", r"chat 2\] I talk here too")
    await archive(alice, home.chat)
    await setup.leave_as(bot, home.chat)
    async with asyncio.timeout(HANGS_SECONDS):
        while bot.store.get(f"matrix_room:{home.chat}")["room_type"] != "gone_chat":
            await asyncio.sleep(0.05)

    await alice.say(home.lobby, "!load C1")

    room = await setup.enter_chat(alice)
    await alice.asks(room, "hello again", r"^\[agent-1 · chat 1\] hello again$")
    await alice.asks(home.lobby, "and here?", r"chat 2\] and here")
    rooms = bot.store.rows("SELECT value FROM kv WHERE key GLOB 'matrix_room:*'")
    assert sum('"platform_chat_id":"1"' in value for (value,) in rooms) == 1


async def test_an_archived_chat_whose_room_is_gone_goes_on_in_a_room_that_has_none(
    setup: Setup,
) -> None:
    bot, alice, home = await at_home(setup)
    await archive(alice, home.chat)
    await setup.leave_as(bot, home.chat)
    async with asyncio.timeout(HANGS_SECONDS):
        while bot.store.get(f"matrix_room:{home.chat}")["room_type"] != "gone_chat":
            await asyncio.sleep(0.05)

    await alice.asks(home.lobby, "!load 1", "“Chat 1” continues in this room")

    await alice.asks(home.lobby, "hello again", r"^\[agent-1 · chat 1\] hello again$")


async def test_another_agent_begins_anew_under_a_new_platform_chat(setup: Setup) -> None:
    bot = await setup.bot(agents=2, rooms=SPACES)
    alice = await setup.person("alice")
    home = await setup.welcome(alice, bot)
    await alice.asks(home.chat, "!agent 1", "You selected")
    await alice.asks(home.chat, "hello", r"^\[agent-1 · chat 1\] hello")
    await alice.asks(home.chat, "!rebind nobody", "There is no agent “nobody”")
    await alice.asks(home.chat, "!rebind 2", "It starts a new conversation")
    await alice.asks(home.chat, "!no", "nothing was changed")
    await alice.asks(home.chat, "still?", r"^\[agent-1 · chat 1\] still")

    await alice.asks(home.chat, "!rebind 2", "It starts a new conversation")
    await alice.asks(home.chat, "!yes", "now answers here, platform chat 2")

    await alice.asks(home.chat, "and now?", r"^\[agent-2 · chat 2\] and now\?$")


async def test_nobody_changes_another_persons_chat(setup: Setup) -> None:
    bot, alice, home = await at_home(setup)
    bob = await setup.person("bob")
    await alice.asks(home.lobby, "mine", r"chat 2\] mine")
    await alice.invite(home.lobby, bob.user_id)
    await bob.join(home.lobby)

    await bob.asks(home.lobby, "!rename Bob's", f"Only {alice.user_id} can rename")
    await bob.asks(home.lobby, "!archive", f"Only {alice.user_id} can archive")
    await bob.asks(home.lobby, "!rebind 1", f"Only {alice.user_id} can choose")

    assert bot.store.get(f"matrix_room:{home.lobby}")["room_type"] == "chat"
