"""Files wait for the message that explains them."""

import asyncio

import pytest

from fsm.values.ids import EventId, RoomId
from strandline.testing import Person
from tests.support.limits import HANGS_SECONDS
from tests.support.setup import Setup

pytestmark = pytest.mark.homeserver

SLOW = {"chunks": 10, "chunk_seconds": 0.3}
LIMITS = {"edit_seconds": 0.2}


async def stage(person: Person, room: RoomId, name: str, size: int = 1000) -> EventId:
    """Send a file, and wait until the bot says that it waits."""
    file = await person.send_file(room, name, b"x" * size)
    async with asyncio.timeout(HANGS_SECONDS):
        while "📎" not in [key for _, key in await person.reactions(room, file)]:
            await asyncio.sleep(0.05)
    return file


async def test_files_go_with_the_next_text_and_with_no_other(setup: Setup) -> None:
    bot, alice = await setup.bot(), await setup.person("alice")
    room = await setup.meet(alice, bot)
    await stage(alice, room, "a.txt")
    await stage(alice, room, "b.txt", 2500)

    await alice.asks(room, "!status", "This room")
    await alice.asks(room, "look", r"look\n\n\(2 files: a\.txt text/plain 1 kB; b\.txt .* 3 kB\)")

    await alice.asks(room, "and?", r"chat 1\] and\?$")
    await alice.asks(room, "!files", "You have no waiting files here")


async def test_a_caption_sends_its_file_at_once(setup: Setup) -> None:
    bot, alice = await setup.bot(), await setup.person("alice")
    room = await setup.meet(alice, bot)

    await alice.send_file(
        room, "a.png", b"x", mimetype="image/png", msgtype="m.image", caption="what is this?"
    )

    await alice.sees(room, r"what is this\?\n\n\(1 file: a\.png image/png 1 kB\)")


async def test_what_waits_is_listed_and_dropped(setup: Setup) -> None:
    bot, alice = await setup.bot(), await setup.person("alice")
    room = await setup.meet(alice, bot)
    for name in ("a.txt", "b.txt", "c.txt"):
        await stage(alice, room, name)

    await alice.asks(room, "!files", r"3 files wait .*1\. a\.txt .*3\. c\.txt")
    await alice.asks(room, "!files drop 2", r"2 files wait .*1\. a\.txt .*2\. c\.txt")
    await alice.asks(room, "!files drop 9", "`!files drop NUMBER` drops one")
    await alice.asks(room, "!files clear", "I dropped your 2 waiting files")

    await alice.asks(room, "look", r"chat 1\] look$")


async def test_a_file_that_is_too_large_or_one_too_many_is_not_taken(setup: Setup) -> None:
    files = {"most": 2, "most_bytes_each": 5000, "most_bytes": 6000}
    bot, alice = await setup.bot(files=files), await setup.person("alice")
    room = await setup.meet(alice, bot)

    await alice.send_file(room, "big.txt", b"x" * 6000)
    await alice.sees(room, r"“big.txt” is too large \(6 kB; the limit is 5 kB\)")
    await stage(alice, room, "a.txt", 4000)
    await alice.send_file(room, "b.txt", b"x" * 3000)
    await alice.sees(room, "waiting files may total 6 kB")
    await stage(alice, room, "c.txt", 1000)
    await alice.send_file(room, "d.txt", b"x" * 10)
    await alice.sees(room, "only 2 files can wait")

    await alice.asks(room, "look", r"\(2 files: a\.txt .*; c\.txt .*\)")


async def test_files_that_no_text_comes_for_are_dropped_aloud(setup: Setup) -> None:
    bot = await setup.bot(files={"wait_seconds": 3.0})
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)

    await stage(alice, room, "a.txt")

    await alice.sees(room, "No message came for your file, so I dropped it")
    await alice.asks(room, "look", r"chat 1\] look$")


async def test_a_file_that_is_taken_back_waits_no_more(setup: Setup) -> None:
    bot, alice = await setup.bot(), await setup.person("alice")
    room = await setup.meet(alice, bot)
    await stage(alice, room, "a.txt")
    regretted = await stage(alice, room, "b.txt")

    await alice.redact(room, regretted)

    await alice.asks(room, "look", r"\(1 file: a\.txt text/plain 1 kB\)")


async def test_a_restart_forgets_what_waits_and_blocks_nobody(setup: Setup) -> None:
    bot, alice = await setup.bot(), await setup.person("alice")
    room = await setup.meet(alice, bot)
    await stage(alice, room, "a.txt")

    await bot.restart()

    await alice.asks(room, "!files", "You have no waiting files here.*last restart")
    await alice.asks(room, "look", r"chat 1\] look$")


async def test_a_question_keeps_its_files_when_the_bot_dies_while_it_is_answered(
    setup: Setup,
) -> None:
    bot = await setup.bot(options=SLOW, limits=LIMITS)
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)
    await stage(alice, room, "a.txt")
    question = await alice.say(room, "what is in this file, and what is it for?")
    await alice.sees(room, r"chat 1\]")

    await bot.restart()

    await alice.sees(room, r"what is it for\?\n\n\(1 file: a\.txt text/plain 1 kB\)$")
    answers = [e for e in await alice.timeline(room) if e.in_reply_to == question]
    assert len(answers) == 1
    assert bot.store.rows("SELECT * FROM asked") == []


@pytest.mark.parametrize("respond_to", ["owner", "mention", "everyone"])
async def test_in_a_room_of_three_the_bot_hears_only_what_is_for_it(
    setup: Setup, respond_to: str
) -> None:
    bot = await setup.bot(rooms={"onboarding": "none", "respond_to": respond_to})
    alice, bob = await setup.person("alice"), await setup.person("bob")
    room = await setup.meet(alice, bot)
    await alice.asks(room, "we are two", r"chat 1\] we are two")
    await alice.invite(room, bob.user_id)
    await bob.join(room)

    texts = {"owner": await alice.say(room, "alice speaks")}
    texts["everyone"] = await bob.say(room, "bob speaks")
    mention = {"msgtype": "m.text", "body": "you", "m.mentions": {"user_ids": [bot.user_id]}}
    texts["mention"] = await bob.send(room, "m.room.message", mention)
    file = await bob.send_file(room, "b.txt", b"x")
    await bob.asks(room, "!status", "This room")

    heard = {
        "owner": ["owner"],
        "mention": ["mention"],
        "everyone": ["owner", "everyone", "mention"],
    }[respond_to]
    answered = {e.in_reply_to for e in await alice.timeline(room)}
    assert [name for name, event_id in texts.items() if event_id in answered] == heard
    is_staged = bool(await alice.reactions(room, file))
    assert is_staged == (respond_to == "everyone")
