"""What one person sends in one room keeps nobody else waiting, and none of it is lost."""

import asyncio
import time
from statistics import median

import pytest

from fsm.values.ids import RoomId
from strandline.testing import Person
from tests.e2e.test_backlog import answered
from tests.support.setup import Bot, Setup

pytestmark = [pytest.mark.homeserver, pytest.mark.timeout(3600)]

FLOOD = 160
GARBAGE = 130


async def test_a_flood_in_one_room_is_answered_in_order_also_if_the_bot_dies_in_it(
    setup: Setup,
) -> None:
    """More than may wait in a room is read from its history when there is a place."""
    bot = await setup.bot(options={"delay_seconds": 0.03})
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_send(alice, room, FLOOD))
        for _ in range(3):
            await asyncio.sleep(2)
            await bot.kill()
            await bot.start()

    await answered(f"{FLOOD} live, three kills", alice, bot, {room: FLOOD}, 0.0)
    await bot.settled()
    await _caught_up(bot)


async def test_events_that_nobody_can_decrypt_keep_nobody_else_waiting(setup: Setup) -> None:
    bot = await setup.bot()
    alice, mallory = await setup.person("alice"), await setup.person("mallory")
    room, lair = await setup.meet(alice, bot), await setup.meet(mallory, bot)
    before = median([await _round_trip(alice, room, f"before {n}") for n in range(5)])

    content = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "A", "session_id": "s"}
    for number in range(GARBAGE):
        await mallory.send(lair, "m.room.encrypted", content | {"session_id": f"s{number}"})
    beside = median([await _round_trip(alice, room, f"beside {n}") for n in range(5)])
    await mallory.asks(lair, "and I?", r"\] and I\?$")

    print(f"\nround trip: {before:.3f} s before, {beside:.3f} s beside {GARBAGE} undecryptable")


async def test_who_writes_while_others_hold_all_places_is_answered_when_one_is_free(
    setup: Setup,
) -> None:
    bot = await setup.bot(options={"delay_seconds": 2.0}, limits={"queued_events": 2})
    alice, bob = await setup.person("alice"), await setup.person("bob")
    busy, quiet = await setup.meet(alice, bot), await setup.meet(bob, bot)

    await _send(alice, busy, 3)
    await bob.asks(quiet, "and I?", r"\] and I\?$")
    await bob.asks(quiet, "and now?", r"\] and now\?$")
    await alice.sees(busy, r"\] m2$")


async def _send(person: Person, room: RoomId, messages: int) -> None:
    for number in range(messages):
        await person.say(room, f"m{number}")


async def _round_trip(person: Person, room: RoomId, text: str) -> float:
    began = time.monotonic()
    await person.asks(room, text, rf"\] {text}$")
    return time.monotonic() - began


async def _caught_up(bot: Bot) -> None:
    while bot.store.rows("SELECT room_id FROM behind"):
        await asyncio.sleep(0.1)
