"""Hostile events through a whole bot, beside people who are answered throughout.

``STRANDLINE_HOSTILE`` says how many; ``make hostile`` sends 2,000.
"""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from statistics import median

import pytest
from attrs import define, field

from fsm.values.ids import RoomId
from strandline.testing import Person
from strandline.testing.log import OUTPUT, Line
from tests.support.encrypted import EncryptedPerson
from tests.support.hostile import Hostile, Place
from tests.support.limits import HANGS_SECONDS
from tests.support.setup import Bot, EncryptedUser, Setup
from tests.support.sync_answers import Json

pytestmark = [pytest.mark.homeserver, pytest.mark.timeout(7200)]

EVENTS = int(os.environ.get("STRANDLINE_HOSTILE", "150"))
SEED = int(os.environ.get("SEED", "7"))

WHILE_DOWN = 110
"""More than a sync response holds of one room."""

NO_RIGHT = ("403", "404")
"""An effect that is refused with these is no fault of the bot's: it was thrown out of the room."""


@define(eq=False)
class Asker:
    """Somebody who asks, and asks again when the answer is there.

    Args:
        name: What the questions begin with.
    """

    name: str
    person: Person
    room: RoomId
    texts: list[str] = field(factory=list)
    waits: list[float] = field(factory=list)

    async def ask(self) -> None:
        """Ask, and wait for an answer to it."""
        self.texts.append(f"{self.name} {len(self.texts)}")
        began = time.monotonic()
        asked = await self.person.say(self.room, self.texts[-1])
        await self.person.sees(
            self.room,
            lambda event: event.in_reply_to == asked,
            after=asked,
            timeout_seconds=HANGS_SECONDS,
        )
        self.waits.append(time.monotonic() - began)


async def test_hostile_events_stop_nothing_and_cost_nobody_an_answer(setup: Setup) -> None:
    allowed = {"users": [f"@{name}-*" for name in ("alice", "bob", "carol", "mallory")]}
    bot = await setup.bot(agents=2, access=allowed)
    askers = await _askers(setup, bot)
    enemies = await _enemies(setup, bot, askers[1])
    lives = set[int | None]()

    async with _asking(askers):
        await _strike(enemies, EVENTS // 8)
        await _restarted(bot, lives)
        await _strike(enemies, EVENTS // 8)
        lives.add(bot.pid)
        await bot.kill()
        await _strike(enemies, WHILE_DOWN, into_bobs_room=True)
        await bot.start()
        await _strike(enemies, EVENTS - WHILE_DOWN - EVENTS // 8 * 2)
        lives.add(bot.pid)
    await _settled(bot)
    await _restarted(bot, lives)
    await asyncio.gather(*(asker.ask() for asker in askers))

    exceptions = _exceptions(bot)
    _print(bot, enemies, askers, exceptions)
    assert exceptions == []
    for asker in askers:
        await setup.answers_each_once(asker.person, asker.room, asker.texts)
    assert len(lives) == 3


@pytest.mark.parametrize("key", ["A" * 42 + "==", "A" * 44], ids=["31 bytes", "33 bytes"])
async def test_a_device_key_of_the_wrong_size_costs_nobody_in_the_room_an_answer(
    setup: Setup, key: str
) -> None:
    """The crypto engine panics on it."""
    bot = await setup.bot()
    alice, person = await setup.person("alice"), await setup.person("mallory")
    room = await alice.create_room(invite=[person.user_id], encrypted=True)
    await person.join(room)
    await Hostile(person, bot.user_id, "", []).publish(person.credentials.device_id, key)

    await alice.invite(room, bot.user_id)

    async with asyncio.timeout(HANGS_SECONDS):
        while not await _sealed_by(bot, alice, room):
            bot.must_run()
            await asyncio.sleep(0.1)


async def _sealed_by(bot: Bot, person: Person, room: RoomId) -> list[Json]:
    """What the bot has said in an encrypted room."""
    events = await person.raw_timeline(room)
    return [e for e in events if (e["sender"], e["type"]) == (bot.user_id, "m.room.encrypted")]


async def _strike(enemies: list[Hostile], events: int, *, into_bobs_room: bool = False) -> None:
    """Send so many hostile events, not counting those that the homeserver refuses."""
    done = 0
    while done < events:
        number = sum(enemy.sent.total() + enemy.refused.total() for enemy in enemies)
        random = Random(f"{SEED} {number}")
        if number % 50 == 0:
            await asyncio.gather(*(enemy.look() for enemy in enemies))
        enemy = random.choice(enemies)
        done += await enemy.strike(random, enemy.places[0] if into_bobs_room else None)


async def _askers(setup: Setup, bot: Bot) -> list[Asker]:
    """Alice in a room of her own, Bob among others, Carol in an encrypted room."""
    alice, bob = await setup.person("alice"), await setup.person("bob")
    carol = await setup.person("carol", encrypted=True)
    people = {"alice": alice, "bob": bob, "carol": carol}
    askers = []
    for name, person in people.items():
        room = await setup.meet(person, bot, greeting="agent")
        await person.asks(room, "!agent agent-1", "agent-1")
        askers.append(Asker(name, person, room))
    return askers


async def _enemies(setup: Setup, bot: Bot, bob: Asker) -> list[Hostile]:
    """Mallory, whom the bot answers, and Eve, whom it does not; both are in Bob's room too."""
    session = json.loads((bot.database.parent / "matrix_store" / "session.json").read_text())
    await bob.person.set_state(bob.room, "m.room.join_rules", {"join_rule": "public"})
    enemies = []
    for name in ("mallory", "eve"):
        person = await setup.person(name)
        await person.join(bob.room)
        enemy = Hostile(person, bot.user_id, session["device_id"], [Place(bob.room)])
        await enemy.new_room()
        enemies.append(enemy)
    mallory = enemies[0]
    await mallory.person.asks(mallory.places[1].room_id, "!agent 1", "agent-1")
    credentials = mallory.person.credentials
    inner = await EncryptedPerson.arrive(
        setup.synapse.url, credentials.user_id, credentials.password, setup.directory / "mallory"
    )
    talker = EncryptedUser(setup.synapse.url, inner, credentials)
    sealed = await setup.meet(talker, bot, greeting="Hello")
    await talker.asks(sealed, "hello", r"\] hello$")
    await talker.close()
    mallory.encrypting = inner
    mallory.places.append(Place(sealed, is_sealed=True))
    return enemies


@asynccontextmanager
async def _asking(askers: list[Asker]) -> AsyncIterator[None]:
    """All of them ask meanwhile, and have their answers at the end."""
    stop = asyncio.Event()

    async def go_on(asker: Asker) -> None:
        while not stop.is_set():
            await asker.ask()
            await asyncio.sleep(1)

    async with asyncio.TaskGroup() as tasks:
        for asker in askers:
            tasks.create_task(go_on(asker))
        yield
        stop.set()


async def _restarted(bot: Bot, lives: set[int | None]) -> None:
    bot.must_run()
    lives.add(bot.pid)
    await bot.restart()


async def _settled(bot: Bot) -> None:
    """Nothing is owed any more, and no room is behind."""
    async with asyncio.timeout(HANGS_SECONDS):
        while bot.store.rows(
            "SELECT room_id FROM behind UNION SELECT room_id FROM outbox WHERE parked_error IS NULL"
        ):
            await asyncio.sleep(0.1)


def _exceptions(bot: Bot) -> list[Line]:
    """Everything that went wrong inside the bot, the hits of its guards among it."""
    lines = [line for line in bot.log if _is_exception(line)]
    for table, column in (("parked", "error"), ("quarantine", "error"), ("outbox", "parked_error")):
        statement = f"SELECT room_id, {column} FROM {table} WHERE {column} IS NOT NULL"  # noqa: S608
        if table == "quarantine":
            statement = "SELECT key, error FROM quarantine"
        for where, error in bot.store.rows(statement):
            if table != "outbox" or not any(f"refuses: {s}" in error for s in NO_RIGHT):
                lines.append({"event": table, "level": "error", "where": where, "error": error})
    return lines


def _is_exception(line: Line) -> bool:
    half = line["level"] == OUTPUT and line["event"].startswith('{"')  # a kill cut it off
    return not half and (
        line["level"] in ("error", "critical", OUTPUT)
        or "exception" in line
        or line["event"] in GUARDS
    )


GUARDS = (
    "an event can't be decrypted",
    "a to-device message is dropped",
    "key exchange failed",
    "a user's device keys can't be used",
    "a device's key can't be used",
)
"""What the bot logs when the crypto engine raises."""


def _print(bot: Bot, enemies: list[Hostile], askers: list[Asker], exceptions: list[Line]) -> None:
    refused = sum((enemy.refused for enemy in enemies), Counter[str]())
    sent = sum((enemy.sent for enemy in enemies), Counter[str]())
    waits = sorted(wait for asker in askers for wait in asker.waits)
    asked = sum(len(asker.texts) for asker in askers)
    warnings = Counter(line["event"] for line in bot.log if line["level"] == "warning")
    print(
        f"\nhostile={EVENTS} refused_by_homeserver={refused.total()} exceptions={len(exceptions)}"
        f" asked={asked} unanswered={asked - len(waits)} seed={SEED}"
        f"\n  sent: {dict(sent)}\n  refused: {dict(refused)}\n  warnings: {dict(warnings)}"
        f"\n  an answer took {median(waits):.2f} s (median), {waits[-1]:.2f} s (longest)"
    )
    for line in exceptions[:20]:
        print(f"  {json.dumps(line)[:3000]}")
