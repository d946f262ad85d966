"""Agents that fail in every way: each person gets one sentence, and nobody else notices."""

import asyncio
import ssl
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

from fsm.values.ids import RoomId
from strandline.testing import Person
from strandline.testing.processes import free_port
from tests.support.fakes.platform import Platform, Script, answers, event, pours, says
from tests.support.limits import HANGS_SECONDS
from tests.support.setup import Setup

pytestmark = pytest.mark.homeserver

CUT_OFF = "Wel\n\nThe answer of agent `{}` was cut off here"

FAILURES: dict[str, tuple[Script, str]] = {
    "silent": (says(then="hangs"), "did not start to answer in time. To ask again, send `!retry`"),
    "stalling": (
        says(event({"text": "Wel"}), then="hangs"),
        "^Wel\n\nThe answer of agent `stalling` was cut off",
    ),
    "cut": (
        says(event({"text": "Wel"}), b'data: {"te', then="cuts"),
        "^Wel\n\nThe answer of agent `cut`",
    ),
    "nonsense": (says(b"data: {nonsense\n\n"), "sent an answer that I can't read"),
    "bytes": (says(b"data: \xff\xfe\n\n"), "sent an answer that I can't read"),
    "endless": (pours(event({"text": "x" * 10_000})), "is too long, so I cut it off here"),
    "locked": (answers(401), "rejected my credentials. Please tell the person who runs this bot"),
    "busy": (answers(429, **{"Retry-After": "1"}), "is overloaded right now"),
    "broken": (answers(500), "can't be reached right now"),
}

MOST_MB = 40
"""So much memory an agent that sends without end may cost, rendered answers and all."""


async def test_each_failure_is_one_sentence_and_other_rooms_go_on(setup: Setup) -> None:
    async with AsyncExitStack() as stack:
        urls = {"down": f"http://127.0.0.1:{free_port()}/ask"}
        for name, (script, _) in FAILURES.items():
            urls[name] = (await stack.enter_async_context(Platform(script))).url
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
        urls["forged"] = (await stack.enter_async_context(Platform(says(), tls=tls))).url
        bot = await setup.bot(start=False)
        bot.config["agents"] = [{"id": "well", "kind": "echo"}, *map(_agent, urls.items())]
        await bot.start()
        told = {name: sentence for name, (_, sentence) in FAILURES.items()}
        told |= {
            "down": "can't be reached right now",
            "forged": "is not secure, so I didn't send your message",
        }
        people = [await setup.person(name) for name in told]
        rooms = await asyncio.gather(*(setup.meet(person, bot) for person in people))
        bob = await setup.person("bob")
        quiet = await setup.meet(bob, bot)
        await bob.asks(quiet, "!agent well", "selected")
        assert bot.pid is not None
        before_mb = _peak_mb(bot.pid)

        failing = asyncio.gather(
            *(
                _is_told(person, room, agent, told[agent])
                for person, room, agent in zip(people, rooms, told, strict=True)
            )
        )
        asked = 0
        while not failing.done():
            asked += 1
            await bob.asks(quiet, f"number {asked}", rf"\] number {asked}$")
        await failing

        assert asked >= 3
        assert _peak_mb(bot.pid) - before_mb < MOST_MB
        russian, room = people[0], rooms[0]
        await russian.asks(room, "!language ru", ".")
        await russian.asks(
            room, "!retry", "не начал отвечать вовремя. Чтобы спросить ещё раз, отправьте `!retry`"
        )
        await bob.asks(quiet, "!agents", r"`silent`\) · can't be reached right now")


async def _is_told(person: Person, room: RoomId, agent: str, sentence: str) -> None:
    await person.asks(room, f"!agent {agent}", "selected|Selected|answers|Just write")
    question = await person.say(room, "hello")
    await person.sees(room, sentence, after=question, timeout_seconds=HANGS_SECONDS)
    said = [e for e in await person.timeline(room) if e.in_reply_to == question]
    assert len([e for e in said if "gent `" in e.body]) == 1


def _agent(named: tuple[str, str]) -> dict[str, Any]:
    name, url = named
    return {"id": name, "kind": "http", "options": {"url": url, "silence_seconds": 5}}


def _peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1000
