"""What people do while an agent answers them, and after: ask again, write on, say stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fsm.values.ids import RoomId
from strandline.testing.person import Person
from tests.support.fakes.platform import Platform, repeats
from tests.support.setup import Bot, Setup


async def a_bot(setup: Setup, **echo: float) -> Bot:
    bot = await setup.bot(start=False, limits={"edit_seconds": 0.2})
    bot.config["agents"] = [{"id": "a1", "kind": "echo", "options": echo}]
    await bot.start()
    return bot


async def said_to(person: Person, room: RoomId, *questions: str) -> list[str]:
    return [e.body for e in await person.timeline(room) if e.in_reply_to in questions]


async def test_the_last_question_is_asked_again_as_it_now_reads(setup: Setup) -> None:
    alice, bot = await setup.person("alice"), await a_bot(setup)
    room = await setup.meet(alice, bot)
    await alice.asks(room, "!retry", "There is no question in this chat to ask again.")
    question = await alice.say(room, "hello")
    await alice.sees(room, r"\[a1 · chat 1\] hello", after=question)
    await alice.asks(room, "!status", "This room: ")

    await alice.edit(room, question, "hello there")
    await alice.asks(room, "!retry", r"\[a1 · chat 1\] hello there")
    await alice.asks(room, "!retry", r"\[a1 · chat 1\] hello there")


async def test_a_bot_that_is_killed_while_it_asks_again_asks_the_same(setup: Setup) -> None:
    alice, bot = await setup.person("alice"), await a_bot(setup, chunks=4, chunk_seconds=0.3)
    room = await setup.meet(alice, bot)
    await alice.asks(room, "hello", r"\[a1 · chat 1\] hello")
    bot.environment["STRANDLINE_FAILPOINT"] = "answer.edit.after"
    await bot.restart()

    again = await alice.say(room, "!retry")
    assert await bot.ended() == -9
    del bot.environment["STRANDLINE_FAILPOINT"]
    await bot.start()

    await alice.sees(room, r"\[a1 · chat 1\] hello", after=again)
    await bot.settled()
    assert await said_to(alice, room, again) == ["[a1 · chat 1] hello"]


@asynccontextmanager
async def joining(setup: Setup, may_answer: asyncio.Event) -> AsyncIterator[tuple[Bot, Platform]]:
    """A bot that joins what is written meanwhile, and its agent."""
    async with Platform(repeats(may_answer)) as platform:
        bot = await setup.bot(
            start=False, limits={"edit_seconds": 0.2}, replies={"while_answering": "join"}
        )
        bot.config["agents"] = [{"id": "a1", "kind": "http", "options": {"url": platform.url}}]
        await bot.start()
        yield bot, platform


async def test_what_is_written_meanwhile_joins_the_question_if_the_config_says_so(
    setup: Setup,
) -> None:
    alice, may_answer = await setup.person("alice"), asyncio.Event()
    async with joining(setup, may_answer) as (bot, platform):
        room = await setup.meet(alice, bot)

        first = await alice.say(room, "tell me")
        await platform.was_asked("tell me")
        status = await alice.say(room, "!status")
        kept = await alice.say(room, "in its turn")
        may_answer.set()
        await alice.sees(room, "^in its turn$", after=kept)
        assert await said_to(alice, room, first) == ["tell me"]
        assert len(await said_to(alice, room, status)) == 1

        may_answer.clear()
        first = await alice.say(room, "one")
        second = await alice.say(room, "two")
        third = await alice.say(room, "three")
        await platform.was_asked("one\n\ntwo\n\nthree")
        may_answer.set()
        await alice.sees(room, "^one\n\ntwo\n\nthree$", after=first)
        for _ in range(2):
            await alice.asks(room, "!retry", "^one\n\ntwo\n\nthree$")

        assert await said_to(alice, room, second, third) == []


async def test_a_kill_makes_of_what_has_joined_no_second_answer(setup: Setup) -> None:
    alice, may_answer = await setup.person("alice"), asyncio.Event()
    async with joining(setup, may_answer) as (bot, platform):
        room = await setup.meet(alice, bot)
        bot.environment["STRANDLINE_FAILPOINT"] = "answer.commit.after"
        await bot.restart()

        first, second = await alice.say(room, "one"), await alice.say(room, "two")
        await platform.was_asked("one\n\ntwo")
        may_answer.set()
        assert await bot.ended() == -9
        del bot.environment["STRANDLINE_FAILPOINT"]
        await bot.start()

        await alice.asks(room, "!status", "This room: ")
        answers = await said_to(alice, room, first, second)
        assert answers == ["one\n\ntwo"]
