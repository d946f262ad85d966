"""What a person gets, said and read through the client-server API."""

import asyncio

import pytest

from tests.support.fakes.platform import Platform, goes_on
from tests.support.setup import Setup

pytestmark = pytest.mark.homeserver


async def test_with_one_agent_it_is_selected_and_the_room_is_bound_by_the_first_message(
    setup: Setup,
) -> None:
    bot = await setup.bot(agents=1)
    alice = await setup.person("alice")

    room = await setup.meet(alice, bot, greeting=r"\*\*Agent 1\*\* \(`agent-1`\) is selected")
    answer = await alice.asks(room, "**hello** <b>world</b>", r"^\[agent-1 · chat 1\]")

    assert answer.body == "[agent-1 · chat 1] **hello** <b>world</b>"
    assert "<strong>hello</strong> &lt;b&gt;world&lt;/b&gt;" in answer.content["formatted_body"]
    assert answer.content["msgtype"] == "m.text"


async def test_with_several_agents_the_greeting_asks_and_a_waiting_message_is_passed_on(
    setup: Setup,
) -> None:
    bot = await setup.bot(agents=2)
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot, greeting=r"1\. \*\*Agent 1\*\*.*`!agent NUMBER`")

    first = await alice.say(room, "hello?")
    await alice.sees(room, "No agent is selected. Choose one", after=first)
    second = await alice.say(room, "are you there?")
    await alice.sees(room, "No agent is selected", after=second)
    await alice.asks(room, "!agent 2", "You selected")
    await alice.sees(room, r"^\[agent-2 · chat 1\] are you there\?$")

    events = await alice.timeline(room)
    answers = [e for e in events if e.body.startswith("[agent-2")]
    assert [a.in_reply_to for a in answers] == [first, second]


async def test_a_command_after_the_bots_name_is_the_command(setup: Setup) -> None:
    bot, alice = await setup.bot(), await setup.person("alice")
    await setup.call(bot, "Harbour Helper")
    await bot.restart()
    room = await setup.meet(alice, bot)
    localpart = bot.user_id.removeprefix("@").partition(":")[0]
    pill = f'<a href="https://matrix.to/#/{bot.user_id}">Harbour Helper</a>: !status'

    await alice.asks(room, f"{localpart}: !status", "This room: ")
    await alice.asks(room, f"{bot.user_id}, !STATUS", "This room: ")
    await alice.asks(room, "Harbour helper: ! status", "This room: ")
    content = {
        "msgtype": "m.text",
        "body": "Harbour Helper: !status",
        "format": "org.matrix.custom.html",
        "formatted_body": pill,
        "m.mentions": {"user_ids": [bot.user_id]},
    }
    event_id = await alice.send(room, "m.room.message", content)
    await alice.sees(room, "This room: ", after=event_id)
    await alice.asks(room, f"{localpart}: hello", rf"\] {localpart}: hello$")


async def test_commands_answer_and_an_unknown_one_gets_the_nearest_name(setup: Setup) -> None:
    bot = await setup.bot(agents=2)
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)

    await alice.asks(room, "!help", "`!agents`: list the agents")
    await alice.asks(room, "!agents", r"1\. \*\*Agent 1\*\* \(`agent-1`\)")
    await alice.asks(room, "!agent", "Choose one with `!agent NUMBER`")
    await alice.asks(room, "!agent nobody", "There is no agent “nobody”")
    await alice.asks(room, "!AGENT AGENT-2", r"You selected \*\*Agent 2\*\*")
    await alice.asks(room, "!statsu", "I don't know `!statsu`. Did you mean `!status`?")
    await alice.asks(room, "!xyzzy", "I don't know `!xyzzy`. `!help` lists my commands.")
    await alice.asks(room, "!status", r"not bound yet.*\n.*`agent-2`\) is selected.*restarted at")
    await alice.asks(room, "!cancel", "Nothing is pending here")
    await alice.asks(room, "!archive", "There is no chat in this room yet")
    await alice.asks(room, "!yes", "I have no open question")
    await alice.asks(room, "! wow", r"^\[agent-2 · chat 1\] ! wow$")


async def test_an_archive_is_asked_first_and_can_be_declined_or_cancelled(setup: Setup) -> None:
    bot = await setup.bot()
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)
    await alice.asks(room, "hello", r"^\[agent-1 · chat 1\] hello$")

    await alice.asks(room, "!archive", "Archive “Chat 1”")
    await alice.asks(room, "!no", "nothing was changed")
    await alice.asks(room, "!archive", "Archive “Chat 1”")
    await alice.asks(room, "!cancel", "nothing was changed")
    await alice.asks(room, "still here", r"^\[agent-1 · chat 1\] still here$")
    await alice.asks(room, "!archive", "Archive “Chat 1”")
    await alice.asks(room, "!archive", "This replaces the earlier question")
    await alice.asks(room, "!yes", "“Chat 1” is archived")
    await alice.asks(room, "hello?", "This chat is archived")
    assert bot.store.get(f"chat:{alice.user_id}:C1")["archived"] is True


async def test_a_question_is_for_the_one_who_was_asked(setup: Setup) -> None:
    bot = await setup.bot(rooms={"onboarding": "none", "respond_to": "everyone"})
    alice, bob = await setup.person("alice"), await setup.person("bob")
    room = await setup.meet(alice, bot)
    await alice.invite(room, bob.user_id)
    await bob.join(room)
    await alice.asks(room, "hello", r"^\[agent-1 · chat 1\] hello$")

    await alice.asks(room, "!archive", "Archive “Chat 1”")
    await bob.asks(room, "!yes", "I have no open question for you")
    await bob.asks(room, "!archive", f"Only {alice.user_id} can archive this chat")
    await bob.asks(room, "hello", r"^\[agent-1 · chat 1\] hello$")
    await alice.asks(room, "!yes", "is archived")


async def test_a_question_lapses_by_itself(setup: Setup) -> None:
    bot = await setup.bot(limits={"confirmation_seconds": 1})
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)
    await alice.asks(room, "hello", r"^\[agent-1")

    await alice.asks(room, "!archive", "within 1 second")
    await asyncio.sleep(1.2)
    await alice.asks(room, "!yes", "I have no open question.*expire after a while")
    await alice.asks(room, "hello again", r"^\[agent-1 · chat 1\] hello again$")


async def test_each_room_has_a_platform_chat_of_its_own(setup: Setup) -> None:
    bot = await setup.bot()
    alice, bob = await setup.person("alice"), await setup.person("bob")

    rooms = [await setup.meet(person, bot) for person in (alice, bob, alice)]
    for number, (person, room) in enumerate(zip((alice, bob, alice), rooms, strict=True), 1):
        await person.asks(room, "hello", rf"^\[agent-1 · chat {number}\] hello$")

    assert bot.store.get(f"matrix_user:{alice.user_id}")["next_chat_index"] == 3
    assert bot.store.get(f"matrix_room:{rooms[2]}")["chat_id"] == "C2"
    assert bot.store.rows("SELECT value FROM kv WHERE key = 'platform_chat_seq'") == [("3",)]


async def test_a_slow_answer_grows_in_one_message(setup: Setup) -> None:
    second, third = asyncio.Event(), asyncio.Event()
    async with Platform(goes_on("one", " two", " three", when=[second, third])) as platform:
        bot = await setup.bot(start=False, limits={"edit_seconds": 0.2})
        bot.config["agents"] = [{"id": "a", "kind": "http", "options": {"url": platform.url}}]
        await bot.start()
        alice = await setup.person("alice")
        room = await setup.meet(alice, bot)

        question = await alice.say(room, "count")
        await alice.sees(room, "^one$", after=question)
        second.set()
        await alice.sees(room, "^one two$", after=question)
        third.set()
        final = await alice.sees(room, "^one two three$", after=question)

    answers = [e for e in await alice.timeline(room) if e.in_reply_to == question]
    assert answers == [final]
    assert final.edits == 2


async def test_an_agent_that_takes_too_long_is_named_and_other_rooms_do_not_wait(
    setup: Setup,
) -> None:
    bot = await setup.bot(agents=2, options={"delay_seconds": 3600}, limits={"answer_seconds": 5})
    bot.config["agents"][1]["options"] = {}
    await bot.restart()
    alice, bob = await setup.person("alice"), await setup.person("bob")
    slow, fast = await setup.meet(alice, bot), await setup.meet(bob, bot)
    await alice.asks(slow, "!agent 1", "You selected")
    await bob.asks(fast, "!agent 2", "You selected")

    question = await alice.say(slow, "hello?")
    await bob.asks(fast, "quick", r"^\[agent-2 · chat \d\] quick$")

    await alice.sees(slow, r"Agent `agent-1` did not finish its answer within", after=question)


async def test_what_the_bot_does_not_read_gets_one_sentence_once(setup: Setup) -> None:
    bot = await setup.bot()
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)

    for _ in range(3):
        await alice.send(room, "m.sticker", {"body": "Wave", "url": "mxc://x/y", "info": {}})
    await alice.send(room, "m.poll.start", {"m.text": [{"body": "Shall we?"}]})
    await alice.asks(room, "hello", r"\] hello$")

    said = [e.body for e in await alice.timeline(room) if e.sender == bot.user_id]
    assert sum("I can't read stickers" in body for body in said) == 1
    assert sum("I can't take part in polls" in body for body in said) == 1
