"""What goes wrong around a bot that runs for months: it recovers by itself and loses nothing."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from fsm.values.ids import RoomId
from strandline.testing import Person, Synapse
from tests.crash.faults.house import House, assert_once_and_in_order
from tests.crash.faults.proxy import Proxy
from tests.support.limits import HANGS_SECONDS
from tests.support.setup import Bot, Setup
from tests.support.store.faults import FaultyDisk

pytestmark = pytest.mark.homeserver

OUTAGE_SECONDS = 3.0


async def _all_answered(alice: Person, room: RoomId, texts: list[str], setup: Setup) -> None:
    for text in texts:
        await alice.sees(room, rf"^\[agent-1 · chat 1\] {text}$", timeout_seconds=HANGS_SECONDS)
    await setup.answers_each_once(alice, room, texts)


def _session(bot: Bot) -> dict[str, Any]:
    path = bot.directory / "data" / "matrix_store" / "session.json"
    session: dict[str, Any] = json.loads(path.read_text())
    return session


async def test_a_revoked_token_is_replaced_by_a_login_of_the_same_device(setup: Setup) -> None:
    bot = await setup.bot()
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)
    await alice.asks(room, "one", r"\] one$")
    before = _session(bot)

    async with aiohttp.ClientSession() as http:
        url = f"{setup.synapse.url}/_matrix/client/v3/logout"
        headers = {"Authorization": f"Bearer {before['access_token']}"}
        async with http.post(url, headers=headers, json={}) as answer:
            assert answer.status == 200
    await alice.say(room, "two")
    await alice.say(room, "three")

    await _all_answered(alice, room, ["one", "two", "three"], setup)
    after = _session(bot)
    assert after["device_id"] == before["device_id"]
    assert after["access_token"] != before["access_token"]
    await bot.restart()
    await alice.asks(room, "four", r"\] four$")


async def test_a_homeserver_that_is_killed_and_comes_back_costs_no_answer(setup: Setup) -> None:
    with Synapse() as synapse:
        async with Setup(synapse, setup.directory / "own") as own:
            bot = await own.bot()
            alice = await own.person("alice")
            room = await own.meet(alice, bot)
            await alice.asks(room, "one", r"\] one$")
            asked = await alice.say(room, "two")

            synapse.kill()
            await asyncio.sleep(OUTAGE_SECONDS)
            await asyncio.to_thread(synapse.start)
            await alice.say(room, "three")

            await _all_answered(alice, room, ["one", "two", "three"], own)
            assert asked
            lost = [line for line in bot.log_lines() if "homeserver lost" in line["event"]]
            assert len(lost) <= 2, "one line when it is lost, not one for each try"


@pytest.mark.parametrize("fault", ["500", "502", "429", "truncated", "reset"])
async def test_a_homeserver_that_answers_badly_for_a_while_costs_no_answer(
    setup: Setup, fault: str
) -> None:
    async with Proxy.to(setup.synapse.url) as proxy:
        bot = await setup.bot(start=False)
        bot.config["homeserver"]["url"] = proxy.url
        await bot.start()
        alice = await setup.person("alice")
        room = await setup.meet(alice, bot)
        await alice.asks(room, "one", r"\] one$")

        proxy.spoil = lambda _request, _number: fault
        for text in ("two", "three"):
            await alice.say(room, text)
        await asyncio.sleep(OUTAGE_SECONDS)
        proxy.spoil = lambda _request, _number: None

        await _all_answered(alice, room, ["one", "two", "three"], setup)
        assert proxy.spoilt < 60, "a homeserver in trouble is not to be hammered"
        await bot.stop()


async def test_a_full_disk_stops_turns_until_there_is_space_again(
    setup: Setup, synapse: Synapse, capsys: pytest.CaptureFixture[str]
) -> None:
    full = False
    disk = FaultyDisk(lambda sql: full and not sql.startswith(("SELECT", "WITH")))
    alice = await setup.person("alice")
    house = House(setup.directory / "house", synapse.url, synapse.register(f"h{alice.localpart}"))
    async with house.living(disk.connect):
        room = await alice.create_room(invite=[house.user_id])
        await alice.asks(room, "!agent 1", "You selected")
        await alice.asks(room, "one", r"\] one$")

        full = True
        asked = await alice.say(room, "two")
        await asyncio.sleep(2)
        answers = [e for e in await alice.timeline(room) if e.in_reply_to == asked]
        assert answers == []
        full = False

        await alice.sees(room, r"\] two$", timeout_seconds=HANGS_SECONDS)
    await assert_once_and_in_order(alice, room)
    assert "store unavailable" in capsys.readouterr().out


async def test_sigterm_finishes_the_answer_in_hand(setup: Setup) -> None:
    bot = await setup.bot(options={"chunks": 4, "chunk_seconds": 0.5}, limits={"edit_seconds": 0.2})
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)
    await alice.say(room, "a question that takes a while")
    await alice.sees(room, r"^\[agent-1")

    assert await bot.terminate() == 0

    events = await alice.timeline(room)
    assert events[-1].body == "[agent-1 · chat 1] a question that takes a while"
    assert [line["event"] for line in bot.log_lines()][-1] == "stopped"
    await bot.start()
    await alice.asks(room, "next", r"\] next$")
    await setup.answers_each_once(alice, room, ["a question that takes a while", "next"])


async def test_sigterm_does_not_wait_for_ever_and_what_was_cut_off_goes_on_later(
    setup: Setup,
) -> None:
    bot = await setup.bot(
        options={"chunks": 4, "chunk_seconds": 1.5},
        limits={"edit_seconds": 0.2, "stop_seconds": 0.5},
    )
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)
    await alice.say(room, "a question that takes a while")
    await alice.sees(room, r"^\[agent-1")

    assert await bot.terminate() == 0
    await bot.start()

    await alice.sees(room, r"a question that takes a while$", timeout_seconds=HANGS_SECONDS)
    await setup.answers_each_once(alice, room, ["a question that takes a while"])
