"""An Agent2Agent server of the SDK's own, behind a real bot: asking back, stopped, killed."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fsm.values.ids import EventId, RoomId
from strandline.testing import Person
from strandline.testing.processes import free_port
from tests.support.limits import HANGS_SECONDS
from tests.support.setup import Bot, Setup

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.homeserver


class Server:
    """``tests.support.a2a_server`` as a process."""

    def __init__(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(  # noqa: S603  # a module of ours
            [sys.executable, "-m", "tests.support.a2a_server", str(port)], cwd=ROOT
        )

    async def report(self) -> dict[str, Any]:
        """How often it has worked on each message, what was cancelled, which files came."""
        async with aiohttp.ClientSession() as http, http.get(f"{self.url}/report") as answer:
            report: dict[str, Any] = await answer.json()
            return report

    async def ready(self) -> None:
        async with asyncio.timeout(HANGS_SECONDS):
            while True:
                try:
                    await self.report()
                except aiohttp.ClientError:
                    await asyncio.sleep(0.1)
                else:
                    return

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    try:
        await server.ready()
        yield server
    finally:
        server.end()


async def a_bot(setup: Setup, server: Server) -> Bot:
    bot = await setup.bot(start=False, limits={"edit_seconds": 0.2})
    bot.config["agents"] = [{"id": "harbour", "kind": "a2a", "options": {"url": server.url}}]
    await bot.start()
    return bot


async def answers_to(alice: Person, room: RoomId, question: EventId) -> list[str]:
    return [e.body for e in await alice.timeline(room) if e.in_reply_to == question]


async def test_a_task_that_asks_back_goes_on_after_a_restart(setup: Setup, server: Server) -> None:
    alice, bot = await setup.person("alice"), await a_bot(setup, server)
    room = await setup.meet(alice, bot)
    await alice.asks(room, "which ship", r"^Which ship do you mean\?$")

    await bot.restart()

    await alice.asks(room, "the Anna", "^I have heard 2 things in 1, at last: the Anna$")
    await alice.asks(
        room, "reject it", r"^I do harbours only\.\n\nAgent `harbour` can't process this"
    )


async def test_files_go_both_ways_and_stop_ends_the_task(setup: Setup, server: Server) -> None:
    alice, bot = await setup.person("alice"), await a_bot(setup, server)
    room = await setup.meet(alice, bot)

    await alice.send_file(room, "rota.txt", b"Anna, Bob", caption="Who is on duty?")
    await alice.sees(room, r"at last: Who is on duty\?$")
    chart = await alice.say(room, "chart")
    file = await alice.sees(room, r"^chart\.txt$", after=chart)
    await alice.sees(room, r"^tides\.csv$", after=chart)

    assert (await server.report())["files"] == [["rota.txt", "text/plain", 9]]
    assert await answers_to(alice, room, chart) == ["Here it is.", "chart.txt", "tides.csv"]
    assert file.content["info"] == {"size": 6, "mimetype": "text/plain"}
    assert await alice.downloads(file.content["url"]) == b"depths"
    slow = await alice.say(room, "slowly now")
    await alice.sees(room, "^I", after=slow)
    await alice.asks(room, "!stop", "I stopped")
    await alice.sees(room, r"_Stopped\._$", after=slow)
    assert (await server.report())["cancelled"] == ["1"]


async def test_a_question_whose_bot_is_killed_four_times_is_worked_on_once(
    setup: Setup, server: Server
) -> None:
    alice, bot = await setup.person("alice"), await a_bot(setup, server)
    room = await setup.meet(alice, bot)
    await bot.stop()
    question = await alice.say(room, "how are the tides")

    points = ("agent.ask.before", "answer.edit.after", "answer.commit.before", "delivery.done")
    for point in points:
        bot.environment["STRANDLINE_FAILPOINT"] = point
        await bot.start()
        assert await bot.ended() == -9
    del bot.environment["STRANDLINE_FAILPOINT"]
    await bot.start()

    whole = "I have heard 1 things in 1, at last: how are the tides"
    await alice.sees(room, f"^{whole}$", after=question)
    await bot.settled()
    assert await answers_to(alice, room, question) == [whole]
    assert (await server.report())["worked"] == {question: 1}
