"""One run: people talk, processes die, and in the end the homeserver says what became of it."""

import asyncio
import json
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from random import Random
from statistics import quantiles

from attrs import define, field

from benchmarks.soak.bots import Size, SoakedBot, make_bot
from benchmarks.soak.settings import Settings
from benchmarks.soak.talkers import Reader, Talker
from benchmarks.soak.town import Town
from benchmarks.soak.verdict import Room, Verdict, fold, judge
from fsm.values.ids import EventId
from strandline.testing import Synapse

PROGRESS_SECONDS = 10.0

QUIET_SECONDS = 4.0
"""So long nothing may change before the rooms count as settled: a double may come late."""

GIVEN_UP_SECONDS = 60.0
"""Where something is missing, this long: several times the longest pause between two tries."""

KINDS = ("lost", "doubled", "out_of_order", "reused", "stale")

Say = Callable[[str], None]


@define
class Report:
    """What a run found."""

    settings: Settings
    verdict: Verdict
    kills: int
    synapse_kills: int
    recoveries_ms: list[float]
    first_answers_ms: list[float]
    sizes: list[Size]
    acts: Counter[str]
    rooms: int
    seconds: float
    faults: str = field(repr=False)

    @property
    def line(self) -> str:
        counts = " ".join(f"{kind}={self.verdict.count(kind)}" for kind in KINDS)
        return (
            f"messages={self.verdict.messages} kills={self.kills} {counts} "
            f"recovery_ms_p50={_percentile(self.recoveries_ms, 50):.0f} "
            f"recovery_ms_p95={_percentile(self.recoveries_ms, 95):.0f}"
        )

    @property
    def details(self) -> str:
        return (
            f"bot={self.settings.bot} seed={self.settings.seed} rooms={self.rooms} "
            f"synapse_kills={self.synapse_kills} seconds={self.seconds:.0f} "
            f"lives_that_got_ready={len(self.recoveries_ms)}\n"
            + " ".join(f"{act.replace(' ', '_')}={times}" for act, times in self.acts.items())
            + "\n"
            f"from process start to the first answer, where messages waited: "
            f"n={len(self.first_answers_ms)} "
            f"p50={_percentile(self.first_answers_ms, 50):.0f} ms "
            f"p95={_percentile(self.first_answers_ms, 95):.0f} ms\n"
            + "\n".join(str(size) for size in self.sizes)
        )


@define
class Storm:
    """What dies, and when."""

    settings: Settings
    bot: SoakedBot
    synapse: Synapse
    town: Town
    kills: int = 0
    synapse_kills: int = 0
    bursts: int = 0
    _owed: set[EventId] = field(factory=set)

    async def rage(self, over: asyncio.Event) -> None:
        """Kill and start again until all kills are done or the time is over."""
        draw = Random(f"{self.settings.seed} storm")
        while not over.is_set():
            if self.settings.kills is not None and self.kills >= self.settings.kills:
                if self.settings.minutes is None:
                    over.set()
                await over.wait()
                return
            await self._wait(self._instant(draw), over)
            if self._burst_is_due():
                await self._burst(draw)
            else:
                await self._kill_bot()
            every = self.settings.synapse_every
            if every and draw.random() < 1 / every:
                await self._kill_synapse(draw)
            await self._start_bot()

    async def _kill_bot(self) -> None:
        await self.bot.kill()
        self.kills += 1

    async def _start_bot(self) -> None:
        self.town.settle_amendments(self.bot.handled)
        await self.bot.start(wait=False)

    def _burst_is_due(self) -> bool:
        """Whether it is time for another: the first early, each when the last is handled."""
        every = self.settings.burst_every if self.settings.mixed else 0
        if not every or self.kills < every * self.bursts + min(every, 5):
            return False
        self._owed -= self.bot.handled(self._owed)
        return not self._owed

    async def _burst(self, draw: Random) -> None:
        """Have a burst sent, and kill the bot under it; amend with it down what it left unhandled.

        Half of the bursts, the first among them, see the homeserver killed as well.
        """
        self.bursts += 1
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(self.town.burst(draw))
            await asyncio.sleep(draw.choice([0, draw.uniform(0, 3)]))
            await self._kill_bot()
            if self.bursts % 2 and self.settings.synapse_every:
                await asyncio.sleep(draw.uniform(0, 2))
                self.synapse_kills += 1
                await asyncio.to_thread(self._restart_synapse)
                self.town.acts["homeserver restarted with the bot down"] += 1
        burst = sending.result()
        gone = await self.town.amend(burst, self.bot.handled(burst.said), draw)
        self._owed = set(burst.said) - gone

    def _instant(self, draw: Random) -> float:
        """How long the bot may live this time: often not even to the end of its start.

        A start takes as long as the machine lets it, so the instants are drawn in terms of one.
        """
        start = self.bot.start_seconds
        if draw.random() < 0.4:
            return draw.uniform(0, 1.2 * start)
        return start + draw.uniform(0, self.settings.life_seconds)

    async def _kill_synapse(self, draw: Random) -> None:
        """Kill the homeserver with the bot down, or with the bot just starting."""
        self.synapse_kills += 1
        if draw.random() < 0.7:
            await self._start_bot()
            await asyncio.sleep(self._instant(draw))
            await asyncio.to_thread(self._restart_synapse)
            await asyncio.sleep(draw.uniform(0, self.settings.life_seconds))
            await self._kill_bot()
        else:
            await asyncio.to_thread(self._restart_synapse)
            self.town.acts["homeserver restarted with the bot down"] += 1

    def _restart_synapse(self) -> None:
        self.synapse.kill()
        self.synapse.start()

    async def _wait(self, seconds: float, over: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(seconds):
                await over.wait()
        except TimeoutError:
            pass


async def soak(settings: Settings, directory: Path, say: Say = print) -> Report:
    """Do one run in ``directory``, on a homeserver of its own."""
    begun = time.monotonic()
    with Synapse(limited=settings.limited) as synapse:
        async with AsyncExitStack() as stack:
            account = synapse.register("bot")
            bot = make_bot(settings, synapse.url, account, directory)
            stack.push_async_callback(bot.kill)
            town = Town(settings, synapse, account.user_id, directory, stack)
            # the first start of all answers no history, so it is awaited
            await bot.start()
            bot.note_ready()
            await town.settle()
            await town.choose_agents()
            storm = Storm(settings, bot, synapse, town)
            sizes = await _talk(town, storm, say)
            rooms = await _settled(town, bot, directory, say)
            bot.note_ready()
            sizes.append(bot.size("end"))
            verdict = judge(rooms, bot.bound(), town.amended)
            return Report(
                settings=settings,
                verdict=verdict,
                kills=storm.kills,
                synapse_kills=storm.synapse_kills,
                recoveries_ms=[r for life in bot.lives if (r := life.recovery_ms) is not None],
                first_answers_ms=_first_answers(rooms, bot),
                sizes=sizes,
                acts=town.acts,
                rooms=len(rooms),
                seconds=time.monotonic() - begun,
                faults=_explain(verdict, bot),
            )


async def _talk(town: Town, storm: Storm, say: Say) -> list[Size]:
    over = asyncio.Event()
    with suppress(ValueError, RuntimeError):  # in a test's thread there are no signals to take
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    sizes = [storm.bot.size("start")]
    async with asyncio.TaskGroup() as group:
        group.create_task(town.talk(over))
        group.create_task(storm.rage(over))
        group.create_task(_watch(town, storm, sizes, over, say))
    return [sizes[0], sizes[len(sizes) // 2]]


async def _watch(
    town: Town, storm: Storm, sizes: list[Size], over: asyncio.Event, say: Say
) -> None:
    begun = time.monotonic()
    minutes = town.settings.minutes
    while not over.is_set():
        try:
            async with asyncio.timeout(PROGRESS_SECONDS):
                await over.wait()
        except TimeoutError:
            seconds = time.monotonic() - begun
            if minutes is not None and seconds > minutes * 60:
                over.set()
            size = storm.bot.size("middle")
            if storm.bot.is_grown:
                sizes.append(size)
            say(
                f"{seconds:6.0f} s  said {town.said}, rooms {len(town.places)}, "
                f"kills {storm.kills}, of Synapse {storm.synapse_kills}; {size}"
            )


async def _settled(town: Town, bot: SoakedBot, directory: Path, say: Say) -> list[Room]:
    """Every room, once nothing is missing and nothing more comes, or time is up.

    What the homeserver has of them in the end is written into the directory.
    """
    eyes = town.talkers[0]
    if town.settings.mixed:
        eyes = Talker(bot.account(town.synapse.url))
        town.stack.push_async_callback(eyes.close)
    readers: dict[str, Reader] = {}
    until = time.monotonic() + town.settings.settle_seconds
    before, since = -1, time.monotonic()
    while True:
        await town.accept_all()
        readers = {reader.room_id: reader for reader in town.readers(eyes)} | readers
        events = {room_id: await reader.read() for room_id, reader in readers.items()}
        rooms = [_room(town, *room) for room in events.items()]
        missing = bot.owes() + sum(len(room.unanswered) for room in rooms)
        total = sum(map(len, events.values()))
        now = time.monotonic()
        since = since if total == before else now
        before = total
        quiet = GIVEN_UP_SECONDS if missing else QUIET_SECONDS
        if now > until or now - since > quiet:
            say(f"settled: {missing} missing, {total} events in {len(rooms)} rooms")
            clear = {room_id: await reader.read_clear() for room_id, reader in readers.items()}
            (directory / "timelines.json").write_text(json.dumps(clear, indent=1))
            return [_room(town, *room) for room in clear.items()]
        await asyncio.sleep(1)


def _room(town: Town, room_id: str, raw: list[dict[str, object]]) -> Room:
    return fold(room_id, town.bot, raw, gone=town.gone(room_id))


def _first_answers(rooms: list[Room], bot: SoakedBot) -> list[float]:
    """From each start of the bot to its first answer, where a message waited for it."""
    pairs = [
        (asked[a.answers].at_ms, a.at_ms)
        for room in rooms
        for asked in [{q.event_id: q for q in room.questions}]
        for a in room.answers
        if a.answers in asked
    ]
    found = []
    for life in bot.lives:
        end = life.ended_ms or float("inf")
        if any(asked < life.started_ms < answered for asked, answered in pairs):
            within = [at for _, at in pairs if life.started_ms < at < end]
            if within:
                found.append(min(within) - life.started_ms)
    return found


def _explain(verdict: Verdict, bot: SoakedBot, most: int = 10) -> str:
    """The first faults, each with its room and the bot's log around it."""
    return "\n\n".join(
        f"{fault.kind}: {fault.message.event_id} {fault.message.body!r} ({fault.what})\n"
        f"room {fault.room.room_id}:\n{fault.room.transcript(fault.message)}\n"
        f"log of the bot:\n{bot.log_around(fault.message.at_ms, fault.message.event_id)}"
        for fault in verdict.faults[:most]
    )


def _percentile(values: list[float], percent: int) -> float:
    if len(values) < 2:
        return values[0] if values else 0.0
    return quantiles(values, n=100, method="inclusive")[percent - 1]
