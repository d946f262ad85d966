"""More at once than a sync response holds: while the bot is down, and while it is up.

CI sends fewer messages, for Synapse takes under a hundred sends a second on two cores.
``make backlog`` sends 2,000.
"""

import asyncio
import time

import pytest

from benchmarks.soak.talkers import Reader, Talker
from benchmarks.soak.verdict import ECHO, fold
from fsm.values.ids import RoomId
from strandline.testing import Person
from tests.support.setup import Bot, Setup

pytestmark = [pytest.mark.homeserver, pytest.mark.timeout(3600)]

FULL = 2000
IN_CI = 120


@pytest.mark.parametrize(
    "messages",
    [IN_CI, pytest.param(FULL, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])],
)
async def test_what_was_sent_to_one_room_while_it_was_down_is_answered_once_and_in_order(
    setup: Setup, messages: int
) -> None:
    bot = await setup.bot()
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)
    await bot.kill()

    sent = await send(alice, [room], messages)
    await bot.start()

    await answered(f"{messages} to one room while down", alice, bot, {room: messages}, sent)


@pytest.mark.parametrize(
    ("messages", "rooms"),
    [
        (IN_CI, 10),
        pytest.param(FULL, 50, marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
    ],
)
async def test_what_was_sent_to_many_rooms_while_it_was_down_is_answered_once_and_in_order(
    setup: Setup, messages: int, rooms: int
) -> None:
    bot = await setup.bot()
    alice = await setup.person("alice")
    places = await asyncio.gather(*(setup.meet(alice, bot) for _ in range(rooms)))
    await bot.kill()

    sent = await send(alice, places, messages)
    await bot.start()

    each = dict.fromkeys(places, messages // rooms)
    await answered(f"{messages} over {rooms} rooms while down", alice, bot, each, sent)


async def test_a_burst_in_one_room_is_answered_once_and_in_order(setup: Setup) -> None:
    bot = await setup.bot()
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)

    sent = await send(alice, [room], 200, at_a_time=200)

    await answered("a burst of 200", alice, bot, {room: 200}, sent)


async def send(person: Person, rooms: list[RoomId], messages: int, *, at_a_time: int = 8) -> float:
    """Send so many messages, in turn to each room; the seconds that it took."""
    begun = time.monotonic()
    places = asyncio.Semaphore(at_a_time)

    async def say(number: int) -> None:
        async with places:
            await person.say(rooms[number % len(rooms)], f"m{number}")

    await asyncio.gather(*map(say, range(messages)))
    return time.monotonic() - begun


async def answered(
    what: str, person: Person, bot: Bot, expected: dict[RoomId, int], sending: float
) -> None:
    """Wait until nothing is unanswered, then read every room: one whole answer each, in order."""
    begun = time.monotonic()
    for room_id, messages in expected.items():
        reader = Reader(Talker(person), room_id)
        while True:
            room = fold(room_id, bot.user_id, await reader.read())
            asked = [(q.event_id, q.body) for q in room.questions]
            assert len(asked) == messages
            if not room.unanswered:
                break
            assert time.monotonic() - begun < 5 * sum(expected.values()) + 300, (
                f"{len(room.unanswered)} of {messages} are not answered"
            )
            await asyncio.sleep(1)
        echoes = [(a.answers, ECHO.sub(r"\g<text>", a.body or "")) for a in room.answers]
        assert echoes == asked
    seconds = time.monotonic() - begun
    total = sum(expected.values())
    print(  # the figures
        f"\n{what}: sent in {sending:.1f} s, answered in {seconds:.1f} s"
        f" ({total / seconds:.0f} a second), each once and in order"
    )
