"""A message that broke its handler, from the first try until an operator has it retried."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from durable.store import Store
from fsm import STAY, Event, Flow, State, Turn, on
from fsm.values.ids import EventId, RoomId
from strandline.config.model import Config
from strandline.engine.bot import Bot
from tests.crash.faults.conversation import MemoryBot
from tests.crash.faults.memory import ALICE, BOB
from tests.support.limits import HANGS_SECONDS

ROOM, OTHER = RoomId("!room"), RoomId("!other")


class Fragile(Flow):
    """Breaks when it is asked to, until it is mended."""

    idle = State(initial=True)
    break_down = Event(idle, STAY, command="break")
    tries = 0
    is_mended = False

    @on(break_down)
    def fail(self, turn: Turn, _data: None) -> None:
        turn.reply("It holds.")
        Fragile.tries += 1
        if not Fragile.is_mended:
            raise RuntimeError("it broke")


class FragileBot(Bot):
    """The bot with one flow more."""

    def __init__(self, config: Config, store: Store) -> None:
        super().__init__(config, store, further=[Fragile()])


@pytest.fixture
async def bot(tmp_path: Path) -> MemoryBot:
    """One life in which a message was parked, between messages that were answered."""
    Fragile.tries, Fragile.is_mended = 0, False
    bot = MemoryBot(tmp_path, FragileBot)
    for room, person in ((ROOM, ALICE), (OTHER, BOB)):
        bot.homeserver.move(room, person, "invite", "leave")
    bot.homeserver.say(ROOM, ALICE, "!break")
    bot.homeserver.say(ROOM, ALICE, "!agents")
    bot.homeserver.say(OTHER, BOB, "!agents")
    async with bot.living() as life:
        async with asyncio.timeout(HANGS_SECONDS):
            while not bot.answers_to(OTHER, "!agents"):
                await asyncio.sleep(0.01)
        assert Fragile.tries < 5, "the other room waited for this one"
        async with asyncio.timeout(HANGS_SECONDS):
            while len(answers(bot, ROOM)) < 2:
                await asyncio.sleep(0.01)
        assert not life.done()
    return bot


def answers(bot: MemoryBot, room: RoomId) -> list[str]:
    """The first line of each answer, in the room's order."""
    events = bot.homeserver.timeline(room)
    return [e.body.splitlines()[0] for e in events if e.in_reply_to is not None]


def strandline(bot: MemoryBot, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "strandline", "parked", *arguments],
        cwd=bot.directory,
        capture_output=True,
        text=True,
        timeout=HANGS_SECONDS,
        check=True,
    )
    return done.stdout.strip()


async def live_on(bot: MemoryBot) -> None:
    """A life in which somebody asks something, and is answered after all that was left over."""
    bot.homeserver.say(ROOM, ALICE, "!help")
    before = len(bot.answers_to(ROOM, "!help"))
    async with bot.living(), asyncio.timeout(HANGS_SECONDS):
        while len(bot.answers_to(ROOM, "!help")) == before:
            await asyncio.sleep(0.01)


PARKED = [
    (
        "I couldn't process this message because of an error on my side. It is saved for the "
        "operator; please continue without it."
    )
]


async def test_a_retried_message_is_answered_at_the_next_start_and_never_again(
    bot: MemoryBot,
) -> None:
    assert answers(bot, ROOM) == [*PARKED, "Agents:"]
    assert Fragile.tries == 5
    event_id = await listed(bot)

    Fragile.is_mended = True
    await asyncio.to_thread(strandline, bot, "retry", event_id)
    await live_on(bot)
    await live_on(bot)

    assert bot.answers_to(ROOM, "!break") == [*PARKED, "It holds."]
    assert Fragile.tries == 6
    assert await asyncio.to_thread(strandline, bot, "list") == "nothing is parked"


async def test_a_message_that_breaks_again_is_parked_again_and_can_be_dropped(
    bot: MemoryBot,
) -> None:
    event_id = await listed(bot)

    await asyncio.to_thread(strandline, bot, "retry", event_id)
    await live_on(bot)
    assert await listed(bot) == event_id
    await asyncio.to_thread(strandline, bot, "drop", event_id)
    Fragile.is_mended = True
    await live_on(bot)

    assert bot.answers_to(ROOM, "!break") == PARKED * 2
    assert Fragile.tries == 10
    assert await asyncio.to_thread(strandline, bot, "list") == "nothing is parked"


async def listed(bot: MemoryBot) -> EventId:
    """The one message that is parked."""
    [line] = (await asyncio.to_thread(strandline, bot, "list")).splitlines()
    assert "RuntimeError: it broke" in line
    return EventId(line.split("  ")[2])
