"""The five expectations of the design's section "Testing Expectations", each with a SIGKILL."""

import re

import pytest

from tests.support.setup import Setup

pytestmark = pytest.mark.homeserver


async def test_the_selected_agent_survives(setup: Setup) -> None:
    bot = await setup.bot(agents=2)
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)
    await alice.asks(room, "!agent 2", r"You selected \*\*Agent 2\*\*")

    await bot.restart()

    new_room = await setup.meet(alice, bot)
    await alice.asks(new_room, "hello", r"^\[agent-2 · chat 1\] hello$")
    assert bot.store.get(f"matrix_user:{alice.user_id}")["selected_agent_id"] == "agent-2"


async def test_a_rooms_agent_and_platform_chat_survive(setup: Setup) -> None:
    bot = await setup.bot(agents=2)
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)
    await alice.asks(room, "!agent 1", "You selected")
    await alice.asks(room, "one", r"^\[agent-1 · chat 1\] one$")
    await alice.asks(room, "!agent 2", "This room is bound to .*agent-1.*That doesn't change")

    await bot.restart()

    await alice.asks(room, "two", r"^\[agent-1 · chat 1\] two$")
    status = await alice.asks(room, "!status", "This room: ")
    assert re.search(r"This room: \*\*Agent 1\*\* \(`agent-1`\), platform chat 1", status.body)
    assert "`agent-2`) is selected" in status.body
    record = bot.store.get(f"matrix_room:{room}")
    assert (record["agent_id"], record["platform_chat_id"]) == ("agent-1", "1")


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
async def test_messages_route_after_a_restart_without_reconfiguration(
    setup: Setup, *, encrypted: bool
) -> None:
    bot = await setup.bot(agents=1)
    alice = await setup.person("alice", encrypted=encrypted)
    room = await setup.meet(alice, bot)
    await alice.asks(room, "before", r"^\[agent-1 · chat 1\] before$")

    await bot.kill()
    await alice.say(room, "while it was down")
    await bot.start()

    await alice.sees(room, r"^\[agent-1 · chat 1\] while it was down$")
    await alice.asks(room, "after", r"^\[agent-1 · chat 1\] after$")
    await setup.answers_each_once(alice, room, ["before", "while it was down", "after"])


async def test_lost_temporary_state_breaks_neither_messages_nor_commands(setup: Setup) -> None:
    bot = await setup.bot(agents=1)
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)
    await alice.asks(room, "hello", r"^\[agent-1 · chat 1\] hello$")
    await alice.asks(room, "!archive", r"Archive “Chat 1”\?.*!yes")

    await bot.restart()

    await alice.asks(room, "!yes", "I have no open question.*restart")
    await alice.asks(room, "still there?", r"^\[agent-1 · chat 1\] still there\?$")
    await alice.asks(room, "!status", "platform chat 1")
    await alice.asks(room, "!archive", r"Archive “Chat 1”\?")
    await alice.asks(room, "!yes", "is archived")
    await alice.asks(room, "anyone?", "This chat is archived")


async def test_an_agent_that_is_gone_becomes_a_prompt_to_select_again(setup: Setup) -> None:
    bot = await setup.bot(agents=2)
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)
    await alice.asks(room, "!agent 2", "You selected")
    await alice.asks(room, "hello", r"^\[agent-2 · chat 1\] hello$")

    await bot.kill()
    bot.configure(agents=["agent-1", "agent-3"])
    await bot.start()

    await alice.asks(room, "are you there?", "`agent-2` is no longer available. Choose another")
    await alice.say(room, "!agent agent-3")
    await alice.sees(room, r"^\[agent-3 · chat 2\] are you there\?$")
    await alice.asks(room, "good", r"^\[agent-3 · chat 2\] good$")


async def test_a_message_that_waits_for_an_agent_is_answered_though_the_bot_dies_answering(
    setup: Setup,
) -> None:
    bot = await setup.bot(agents=2, options={"delay_seconds": 2})
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)
    await alice.asks(room, "hello?", "Choose one, and I'll pass your message on")
    await alice.asks(room, "!agent 1", "You selected")

    await bot.restart()

    await alice.sees(room, r"^\[agent-1 · chat 1\] hello\?$")


async def test_a_message_that_waits_for_an_agent_is_forgotten_at_a_restart(setup: Setup) -> None:
    bot = await setup.bot(agents=2)
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)
    await alice.asks(room, "hello?", "Choose one")

    await bot.restart()

    await alice.asks(room, "!agent 1", "You selected")
    await alice.asks(room, "hello again", r"^\[agent-1 · chat 1\] hello again$")
    assert [e.body for e in await alice.timeline(room) if "hello?" in e.body] == ["hello?"]
