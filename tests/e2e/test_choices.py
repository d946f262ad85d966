"""Questions of the bot's, answered in every way that people have."""

import asyncio

import pytest

from fsm.values.ids import EventId, RoomId
from strandline.testing import Person
from tests.support.limits import HANGS_SECONDS
from tests.support.setup import Bot, Setup

pytestmark = pytest.mark.homeserver


async def asked_to_archive(setup: Setup, bot: Bot, alice: Person) -> tuple[RoomId, EventId]:
    """A room with a chat, and the question whether to archive it."""
    room = await setup.meet(alice, bot)
    await alice.asks(room, "hello", r"chat \d+\] hello")
    question = await alice.asks(room, "!archive", "Archive “")
    return room, question.event_id


async def body_of(person: Person, room: RoomId, event_id: EventId) -> str:
    return next(e.body for e in await person.timeline(room) if e.event_id == event_id)


async def becomes(person: Person, room: RoomId, event_id: EventId, text: str) -> None:
    async with asyncio.timeout(HANGS_SECONDS):
        while text not in await body_of(person, room, event_id):
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("answer", ["✅", "✅\ufe0f"])
async def test_a_reaction_answers_a_question(setup: Setup, answer: str) -> None:
    bot, alice = await setup.bot(), await setup.person("alice")
    room, question = await asked_to_archive(setup, bot, alice)

    await alice.react(room, question, answer)

    await alice.sees(room, "is archived")


async def test_a_reply_answers_a_question_and_an_ordinary_text_does_not(setup: Setup) -> None:
    bot, alice = await setup.bot(), await setup.person("alice")
    room, question = await asked_to_archive(setup, bot, alice)

    await alice.asks(room, "yes", r"chat \d+\] yes")
    await alice.reply(room, question, "Да")

    await alice.sees(room, "is archived")


async def test_a_no_by_reaction_leaves_everything_as_it_is(setup: Setup) -> None:
    bot, alice = await setup.bot(), await setup.person("alice")
    room, question = await asked_to_archive(setup, bot, alice)

    await alice.react(room, question, "❌")

    await alice.sees(room, "nothing was changed")
    await alice.asks(room, "still there?", r"chat \d+\] still there")


async def test_nobody_elses_answer_counts(setup: Setup) -> None:
    bot = await setup.bot(rooms={"onboarding": "none", "respond_to": "everyone"})
    alice, bob = await setup.person("alice"), await setup.person("bob")
    room, question = await asked_to_archive(setup, bot, alice)
    await alice.invite(room, bob.user_id)
    await bob.join(room)

    await bob.react(room, question, "✅")
    await bob.reply(room, question, "hm")
    await bob.asks(room, "!yes", "I have no open question")

    assert "is archived" not in await alice.transcript(room)
    await alice.react(room, question, "✅")
    await alice.sees(room, "is archived")


async def test_a_second_question_replaces_the_first_which_says_so(setup: Setup) -> None:
    bot, alice = await setup.bot(), await setup.person("alice")
    room, first = await asked_to_archive(setup, bot, alice)

    second = await alice.asks(room, "!archive", "This replaces the earlier question")
    await becomes(alice, room, first, "was replaced")
    late = await alice.react(room, first, "✅")

    await alice.sees(room, "is closed", after=late)
    await alice.react(room, second.event_id, "✅")
    await alice.sees(room, "is archived")


async def test_a_question_that_nobody_answers_says_that_it_lapsed(setup: Setup) -> None:
    bot = await setup.bot(limits={"confirmation_seconds": 5.0})
    alice = await setup.person("alice")
    room, question = await asked_to_archive(setup, bot, alice)

    await becomes(alice, room, question, "expired")

    await alice.asks(room, "!yes", "I have no open question")
    await alice.asks(room, "still there?", r"chat \d+\] still there")


@pytest.mark.parametrize("encrypted", [False, True])
async def test_an_answer_to_a_question_of_an_earlier_life_is_told_and_closes_it(
    setup: Setup,
    encrypted: bool,  # noqa: FBT001
) -> None:
    bot, alice = await setup.bot(), await setup.person("alice", encrypted=encrypted)
    room, question = await asked_to_archive(setup, bot, alice)
    await bot.restart()

    await alice.react(room, question, "✅")

    told = await alice.sees(room, "I restarted at .* and lost this question", after=question)
    assert told.in_reply_to == question
    await becomes(alice, room, question, "expired: I restarted at")
    await alice.asks(room, "still there?", r"chat \d+\] still there")
    assert "is archived" not in await alice.transcript(room)
