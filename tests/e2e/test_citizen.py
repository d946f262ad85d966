"""What people expect of whoever is in a room with them."""

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from fsm.values.ids import RoomId, UserId
from strandline.testing import Person
from strandline.testing.person import Expected
from tests.support.limits import HANGS_SECONDS
from tests.support.setup import Setup

pytestmark = pytest.mark.homeserver

SLOW = {"chunks": 20, "chunk_seconds": 0.25}
LIMITS = {"edit_seconds": 0.2}


async def test_a_question_in_a_thread_is_answered_in_the_thread(setup: Setup) -> None:
    bot, alice = await setup.bot(), await setup.person("alice")
    room = await setup.meet(alice, bot)
    root = await alice.say(room, "a root")

    asked = await alice.say_in_thread(room, root, "below it")
    answer = await alice.sees(room, r"chat \d+\] below it")
    helped = await alice.say_in_thread(room, root, "!status")
    status = await alice.sees(room, "This room", after=helped)

    for reply, question in ((answer, asked), (status, helped)):
        relation = reply.content["m.relates_to"]
        assert (relation["rel_type"], relation["event_id"]) == ("m.thread", root)
        assert reply.in_reply_to == question


async def test_an_answer_mentions_who_asked_and_nobody_else(setup: Setup) -> None:
    bot, alice = await setup.bot(), await setup.person("alice")
    room = await setup.meet(alice, bot)

    answer = await alice.asks(room, "hello @room", "chat \\d+\\] hello @\u2060room")

    assert answer.content["m.mentions"] == {"user_ids": [alice.user_id]}


@pytest.mark.parametrize("message_type", ["m.text", "m.notice"])
async def test_the_bot_says_everything_as_the_config_has_it(
    setup: Setup, message_type: str
) -> None:
    bot = await setup.bot(replies={"message_type": message_type}, options=SLOW, limits=LIMITS)
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)

    await alice.asks(room, "!help", "Commands")
    await alice.asks(room, "hello", r"chat \d+\] hello$")

    said = [e for e in await alice.timeline(room) if e.sender == bot.user_id]
    assert {e.content["msgtype"] for e in said} == {message_type}


async def test_a_message_that_is_edited_while_it_is_answered_is_answered_anew(
    setup: Setup,
) -> None:
    bot, alice = await setup.bot(options=SLOW, limits=LIMITS), await setup.person("alice")
    room = await setup.meet(alice, bot)
    question = await alice.say(room, "how much is the fish at the market")
    await alice.sees(room, r"chat \d+\]")

    await alice.edit(room, question, "how much is the bread")

    answer = await alice.sees(room, r"chat \d+\] how much is the bread$")
    assert answer.in_reply_to == question
    answers = [e for e in await alice.timeline(room) if e.in_reply_to == question]
    assert len(answers) == 1


async def test_a_message_that_is_edited_before_it_is_read_is_answered_as_it_is_then(
    setup: Setup,
) -> None:
    bot, alice = await setup.bot(), await setup.person("alice")
    room = await setup.meet(alice, bot)
    await bot.kill()
    question = await alice.say(room, "how much is the fish")
    await alice.edit(room, question, "how much is the bread")
    await bot.start()

    await alice.sees(room, r"chat \d+\] how much is the bread$")

    answers = [e.body for e in await alice.timeline(room) if e.in_reply_to == question]
    assert len(answers) == 1


async def test_a_message_that_is_taken_back_while_it_is_answered_gets_no_answer(
    setup: Setup,
) -> None:
    bot, alice = await setup.bot(options=SLOW, limits=LIMITS), await setup.person("alice")
    room = await setup.meet(alice, bot)
    question = await alice.say(room, "how much is the fish at the market")
    await alice.sees(room, r"chat \d+\]")

    await alice.redact(room, question)

    await alice.sees(room, "The question was deleted")
    await alice.asks(room, "hello", r"chat \d+\] hello$")


async def test_a_message_that_is_taken_back_while_the_bot_is_dead_ends_the_answer_it_had(
    setup: Setup,
) -> None:
    bot, alice = await setup.bot(options=SLOW, limits=LIMITS), await setup.person("alice")
    room = await setup.meet(alice, bot)
    question = await alice.say(room, "how much is the fish at the market")
    await alice.sees(room, r"chat \d+\]")
    await bot.kill()

    await alice.redact(room, question)
    await bot.start()

    await alice.sees(room, "The question was deleted")
    await alice.asks(room, "hello", r"chat \d+\] hello$")
    assert bot.store.rows("SELECT * FROM stream") == []


@pytest.mark.parametrize("how", ["command", "reaction"])
async def test_stop_ends_the_answer_and_keeps_what_was_said(setup: Setup, how: str) -> None:
    bot, alice = await setup.bot(options=SLOW, limits=LIMITS), await setup.person("alice")
    room = await setup.meet(alice, bot)
    question = await alice.say(room, "tell me all that there is to tell about the sea")
    head = await alice.sees(room, r"chat \d+\]")

    if how == "command":
        await alice.asks(room, "!stop", "I stopped")
    else:
        await alice.react(room, head.event_id, "🛑")

    answer = await alice.sees(room, "Stopped")
    assert answer.in_reply_to == question
    assert "about the sea" not in answer.body
    await alice.asks(room, "!stop", "nothing to stop")


async def test_what_is_read_has_a_receipt_and_work_shows_as_typing(setup: Setup) -> None:
    bot = await setup.bot(options={"delay_seconds": 2.0})
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)

    question = await alice.say(room, "hello")

    await _shown(alice, room, lambda e: bot.user_id in e.get("m.typing", {}).get("user_ids", ()))
    await alice.sees(room, r"chat \d+\] hello")
    await _shown(alice, room, lambda e: question in e.get("m.receipt", {}))
    await _shown(alice, room, lambda e: e.get("m.typing", {}).get("user_ids") == [])


async def _shown(person: Person, room: RoomId, wanted: Any) -> None:
    """Wait until a sync shows it among what passes in the room."""
    since = ""
    async with asyncio.timeout(HANGS_SECONDS):
        while True:
            answer = await person.request("GET", f"/sync?timeout=200{since}")
            since = f"&since={quote(answer['next_batch'])}"
            joined = answer.get("rooms", {}).get("join", {}).get(room, {})
            events = joined.get("ephemeral", {}).get("events", [])
            if wanted({e["type"]: e["content"] for e in events}):
                return


def _echo_of(user_id: UserId) -> Expected:
    return lambda event: event.sender == user_id and "hello, both" in event.body


async def test_two_such_bots_in_one_room_fall_silent(setup: Setup) -> None:
    rooms = {"onboarding": "none", "respond_to": "everyone"}
    first, second = await setup.bot(rooms=rooms), await setup.bot(rooms=rooms)
    alice = await setup.person("alice")
    room = await setup.meet(alice, first)
    await alice.invite(room, second.user_id)
    await alice.sees(room, lambda e: e.sender == second.user_id)
    asked = await alice.say(room, "hello, both of you")

    for user_id in (first.user_id, second.user_id):
        await alice.sees(room, _echo_of(user_id))
    await asyncio.sleep(2)

    events = await alice.timeline(room)
    after = [e for e in events if e.sender != alice.user_id and e.in_reply_to]
    assert [e.in_reply_to for e in after] == [asked, asked]
