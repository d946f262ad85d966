"""A model that someone else serves, behind a real bot: remembering, stopped, killed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fsm.values.ids import EventId, RoomId
from strandline.testing import Person
from tests.support.limits import HANGS_SECONDS
from tests.support.model_server import ModelServer
from tests.support.setup import Bot, Setup

pytestmark = [pytest.mark.homeserver, pytest.mark.timeout(3600)]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ModelServer]:
    async with ModelServer(tmp_path) as server:
        yield server


async def a_bot(setup: Setup, server: ModelServer) -> Bot:
    bot = await setup.bot(start=False, limits={"edit_seconds": 0.2})
    options = {"url": server.url, "model": server.model, "temperature": 0}
    bot.config["agents"] = [{"id": "model", "kind": "openai", "options": options}]
    await bot.start()
    return bot


async def sees_answer(alice: Person, room: RoomId, server: ModelServer, question: EventId) -> str:
    """What the server has answered, once the room has it word for word."""
    async with asyncio.timeout(HANGS_SECONDS):
        answer = await server.answered(question)
    await alice.sees(room, lambda e: e.body.strip() == answer, after=question)
    return answer


async def test_the_second_question_sees_the_first(setup: Setup, server: ModelServer) -> None:
    alice, bot = await setup.person("alice"), await a_bot(setup, server)
    room = await setup.meet(alice, bot)
    said = "My name is Alice. Greet me in one short sentence."
    first = await alice.say(room, said)
    greeting = await sees_answer(alice, room, server, first)

    second = await alice.say(room, "What is my name? Say it in one short sentence.")

    answer = await sees_answer(alice, room, server, second)
    told = [(m["role"], m["content"].strip()) for m in server.exchanges[-1].messages]
    assert told[-3:-1] == [("user", said), ("assistant", greeting)]
    assert "Alice" in answer or not server.is_mock  # a tiny model may be told and not grasp it


async def test_stop_ends_the_answer_and_the_work_on_it(setup: Setup, server: ModelServer) -> None:
    alice, bot = await setup.person("alice"), await a_bot(setup, server)
    room = await setup.meet(alice, bot)
    question = await alice.say(room, "Tell me a very long story of the sea, in many chapters.")
    await alice.sees(room, r"\w+ \w+", after=question, timeout_seconds=HANGS_SECONDS)

    await alice.asks(room, "!stop", "I stopped")

    answer = await alice.sees(room, "Stopped", after=question)
    assert answer.in_reply_to == question
    async with asyncio.timeout(HANGS_SECONDS):
        while not server.exchanges[-1].is_left:
            await asyncio.sleep(0.05)


async def test_a_question_whose_bot_is_killed_thrice_has_one_whole_answer_and_one_key(
    setup: Setup, server: ModelServer
) -> None:
    alice, bot = await setup.person("alice"), await a_bot(setup, server)
    room = await setup.meet(alice, bot)
    await bot.stop()
    question = await alice.say(room, "How are the tides?")

    for point in ("agent.ask.before", "answer.edit.after", "answer.commit.before"):
        bot.environment["STRANDLINE_FAILPOINT"] = point
        await bot.start()
        async with asyncio.timeout(HANGS_SECONDS):
            assert await bot.ended() == -9
    del bot.environment["STRANDLINE_FAILPOINT"]
    await bot.start()

    async with asyncio.timeout(HANGS_SECONDS):
        while not bot.store.rows("SELECT 1 FROM handled WHERE event_id = ?", question):
            await asyncio.sleep(0.05)
    answer = await sees_answer(alice, room, server, question)
    said = [e for e in await alice.timeline(room) if e.in_reply_to == question]
    assert [e.body.strip() for e in said] == [answer]
    assert [exchange.key for exchange in server.exchanges] == [question] * 3
