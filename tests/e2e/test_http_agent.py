"""A platform of one's own behind a real bot: killed before, in and after an answer."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from strandline.testing.processes import free_port
from tests.support.limits import HANGS_SECONDS
from tests.support.setup import Bot, Setup

ROOT = Path(__file__).parent.parent.parent
QUESTION = "one two three four five six"
ANSWER = f"You have said 1 things, at last: {QUESTION}"


class Platform:
    """``examples/platform_server.py`` as a process."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process = subprocess.Popen(  # noqa: S603  # an example of ours
            [sys.executable, str(ROOT / "examples" / "platform_server.py"), str(self.port)],
            stdout=subprocess.DEVNULL,
        )

    async def asked(self) -> dict[str, int]:
        """How often each question has come."""
        async with aiohttp.ClientSession() as http, http.get(f"{self.url}/asked") as answer:
            counts: dict[str, int] = await answer.json()
            return counts

    async def ready(self) -> None:
        async with asyncio.timeout(HANGS_SECONDS):
            while True:
                try:
                    await self.asked()
                except aiohttp.ClientError:
                    await asyncio.sleep(0.05)
                else:
                    return

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    platform = Platform()
    await platform.ready()
    yield platform
    platform.end()


async def a_bot(setup: Setup, platform: Platform, **options: Any) -> Bot:
    bot = await setup.bot(start=False, limits={"edit_seconds": 0.2})
    options = {"url": f"{platform.url}/ask", **options}
    bot.config["agents"] = [{"id": "platform", "kind": "http", "options": options}]
    await bot.start()
    return bot


async def test_an_answer_is_one_message_and_files_go_both_ways(
    setup: Setup, platform: Platform
) -> None:
    alice, bot = await setup.person("alice"), await a_bot(setup, platform)
    room = await setup.meet(alice, bot)

    answer = await alice.asks(room, QUESTION, ANSWER)
    file = await alice.send_file(room, "rota.txt", b"Anna, Bob", caption="and now?")
    made = await alice.sees(room, r"^answer\.txt$", after=file)

    answers = [e for e in await alice.timeline(room) if e.in_reply_to == answer.in_reply_to]
    assert len(answers) == 1
    whole = "You have said 2 things, at last: and now? (rota.txt: 9 bytes)"
    assert await alice.downloads(made.content["url"]) == whole.encode()
    said = [e.body.strip() for e in await alice.timeline(room) if e.in_reply_to == file]
    assert said == [whole, "answer.txt"]


async def test_a_question_whose_bot_is_killed_four_times_is_worked_on_once(
    setup: Setup, platform: Platform
) -> None:
    alice, bot = await setup.person("alice"), await a_bot(setup, platform)
    room = await setup.meet(alice, bot)
    await bot.stop()
    question = await alice.say(room, QUESTION)

    points = ("agent.ask.before", "answer.edit.after", "answer.commit.before", "delivery.done")
    for point in points:
        bot.environment["STRANDLINE_FAILPOINT"] = point
        await bot.start()
        assert await bot.ended() == -9
    del bot.environment["STRANDLINE_FAILPOINT"]
    await bot.start()

    await alice.sees(room, ANSWER, after=question)
    await bot.settled()
    said = [e.body.strip() for e in await alice.timeline(room) if e.in_reply_to == question]
    assert said == [ANSWER]
    assert set(await platform.asked()) == {question}


async def test_a_platform_that_goes_away_is_told_and_other_rooms_go_on(
    setup: Setup, platform: Platform
) -> None:
    alice, bob = await setup.person("alice"), await setup.person("bob")
    bot = await a_bot(setup, platform, connect_seconds=1)
    room, other = await setup.meet(alice, bot), await setup.meet(bob, bot)
    question = await alice.say(room, QUESTION)
    await alice.sees(room, "You have", after=question)

    platform.end()

    await alice.sees(room, "The answer of agent `platform` was cut off here", after=question)
    await bob.asks(other, "hello", "Agent `platform` can't be reached right now")
    await bob.asks(other, "!status", "This room: ")
