"""Nothing that a person or another bot can send stops the loop or gets a second answer."""

import asyncio
from typing import Any

import pytest

from tests.support.limits import HANGS_SECONDS
from tests.support.setup import Setup

pytestmark = pytest.mark.homeserver

UNANSWERED: list[tuple[str, str, dict[str, Any]]] = [
    ("a notice", "m.room.message", {"msgtype": "m.notice", "body": "!help"}),
    ("an unknown event without a text", "x.y", {"note": "!help"}),
    ("a relation that is none", "m.reaction", {"m.relates_to": 7}),
]

ANSWERED = [
    "\ud83d\ude00 emoji",
    "\u202eevil\u202c \u2066right to left\u2069",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "![image](https://evil.example/x.png) [link](javascript:alert(1))",
    "nul \u0000 and bell \u0007",
    "@room everybody",
    "a" * 20_000,
    "\n".join(["> quote"] * 200),
    "```\ncode\n",
    "!" * 500,
    "é" * 15_000,
]


async def test_what_is_no_message_is_not_answered_and_stops_nothing(setup: Setup) -> None:
    bot = await setup.bot()
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)

    for _, event_type, content in UNANSWERED:
        await alice.send(room, event_type, content)
    await alice.asks(room, "still there?", r"^\[agent-1 · chat 1\] still there\?$")

    assert len([e for e in await alice.timeline(room) if e.sender == bot.user_id]) == 2


async def test_a_reply_to_an_id_of_20_000_characters_holds_no_room_and_no_checkpoint(
    setup: Setup,
) -> None:
    """The request for such an event is longer than Synapse reads: it cuts the connection."""
    bot = await setup.bot()
    alice, mallory = await setup.person("alice"), await setup.person("mallory")
    room, lair = await setup.meet(alice, bot), await setup.meet(mallory, bot)
    relation = {"m.in_reply_to": {"event_id": "$" + "x" * 20_000}}
    content = {"msgtype": "m.text", "body": "what of this?", "m.relates_to": relation}

    odd = await mallory.send(lair, "m.room.message", content)
    await mallory.asks(lair, "and this?", r"\] and this\?$")
    await alice.asks(room, "still there?", r"\] still there\?$")
    await bot.kill()
    await bot.start()
    await mallory.asks(lair, "and now?", r"\] and now\?$")

    await setup.answers_each_once(mallory, lair, ["what of this?", "and this?", "and now?"])
    [answer] = [e for e in await mallory.timeline(lair) if e.in_reply_to == odd]
    assert answer.body.endswith("] what of this?")
    async with asyncio.timeout(HANGS_SECONDS):
        while bot.store.rows("SELECT room_id FROM behind"):
            await asyncio.sleep(0.1)


async def test_strange_text_is_answered_once_and_what_is_sent_is_clean(setup: Setup) -> None:
    bot = await setup.bot()
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)

    asked = [await alice.say(room, text) for text in ANSWERED]
    await alice.asks(room, "the end", r"\] the end$")

    events = [e for e in await alice.timeline(room) if e.sender == bot.user_id]
    answered = [e.in_reply_to for e in events if e.in_reply_to]
    assert sorted(set(answered), key=answered.index)[:-1] == asked
    html = " ".join(e.content.get("formatted_body", "") for e in events)
    assert "<script" not in html
    assert "<img" not in html
    assert 'href="javascript' not in html
    assert not any("\u202e" in e.body for e in events)


async def test_an_edit_or_a_redaction_of_an_answered_message_gets_no_second_answer(
    setup: Setup,
) -> None:
    bot = await setup.bot()
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)
    first = await alice.say(room, "first")
    await alice.sees(room, r"\] first$")

    await alice.edit(room, first, "second")
    await alice.redact(room, first)
    await alice.asks(room, "third", r"\] third$")

    said = [e.body for e in await alice.timeline(room) if e.sender == bot.user_id]
    assert said[1:] == ["[agent-1 · chat 1] first", "[agent-1 · chat 1] third"]


async def test_two_bots_in_one_room_fall_silent(setup: Setup) -> None:
    one, two = await setup.bot(), await setup.bot()
    alice = await setup.person("alice")
    room = await alice.create_room(invite=[one.user_id])
    await alice.sees(room, "Hello!")
    await alice.invite(room, two.user_id)
    await alice.sees(room, lambda e: e.sender == two.user_id and "Hello" in e.body)
    await alice.say(room, "who answers?")

    await alice.sees(room, lambda e: e.sender == one.user_id and "who answers" in e.body)
    await alice.sees(room, lambda e: e.sender == two.user_id and "who answers" in e.body)
    await alice.asks(room, "!help", "Write a message")
    await asyncio.sleep(1)
    assert len(await alice.timeline(room)) == 8  # two greetings, and two answers to each of alice's
