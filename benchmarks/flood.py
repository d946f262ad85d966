"""One user floods the bot: how long does another wait for an answer?

Alice asks, one question after the other, in a room of her own: first alone; then while Mallory
floods rooms in which the bot is not, and another account says as much there as the bot would; then
while Mallory floods rooms with the bot; at last while the bot works off what is left of that. What
the second tells is the homeserver's part of the third. Mallory's messages must all be answered,
once and in order.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.parse import quote

import click
from attrs import define, field, frozen

from benchmarks.soak.talkers import Reader, Talker
from benchmarks.soak.verdict import ECHO, fold
from fsm.values.ids import RoomId, UserId
from strandline.testing import BotProcess, Person, Synapse
from strandline.testing.bot import config_for

AT_A_TIME = 16
"""So many events of each kind are on their way at a time."""

PAUSE_SECONDS = 0.2
"""So long after an answer Alice asks again."""

Json = dict[str, Any]


@frozen(kw_only=True)
class Flood:
    """What Mallory sends.

    Args:
        messages: Into one room.
        garbage: Events that nobody can decrypt: so many into the same room, which is not encrypted,
            and so many into an encrypted one.
    """

    messages: int
    garbage: int


@frozen
class Lair:
    """Where Mallory sends it: a plain room and an encrypted one."""

    plain: RoomId
    encrypted: RoomId


@define(eq=False)
class Asker:
    """Alice, who asks and waits for the answer before she asks again."""

    person: Person
    room: RoomId
    _since: str = ""
    _numbers: "count[int]" = field(factory=count)

    async def ask(self) -> float:
        """The seconds until the answer is there."""
        if not self._since:
            self._since = (await self._sync(0))["next_batch"]
        began = time.monotonic()
        asked = await self.person.say(self.room, f"question {next(self._numbers)}")
        while True:
            answer = await self._sync(30_000)
            self._since = answer["next_batch"]
            for event in _timeline(answer, self.room):
                relation = event["content"].get("m.relates_to", {})
                if relation.get("m.in_reply_to", {}).get("event_id") == asked:
                    return time.monotonic() - began

    async def go_on(self, until: Callable[[], bool], *, least: int) -> list[float]:
        """Ask until it is so, and so often at least; the seconds that each answer took."""
        waits = list[float]()
        while len(waits) < least or not until():
            waits.append(await self.ask())
            await asyncio.sleep(PAUSE_SECONDS)
        return waits

    async def _sync(self, timeout_ms: int) -> Json:
        since = f"&since={self._since}" if self._since else ""
        wanted = quote(f'{{"room": {{"rooms": ["{self.room}"]}}}}')
        answer: Json = await self.person.request(
            "GET", f"/sync?timeout={timeout_ms}&filter={wanted}{since}"
        )
        return answer


@define(eq=False)
class Watch:
    """Looks at the bot's memory now and then."""

    bot: BotProcess
    before_mb: float = 0.0
    most_mb: float = 0.0

    async def run(self) -> None:
        self.before_mb = self.now_mb()
        while True:
            self.most_mb = max(self.most_mb, self.now_mb())
            await asyncio.sleep(0.5)

    def now_mb(self) -> float:
        lines = Path(f"/proc/{self.bot.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS"))


@click.command(help=__doc__)
@click.option("--messages", default=5_000, show_default=True)
@click.option("--garbage", default=1_001, show_default=True)
@click.option(
    "--asks", default=30, show_default=True, help="So often at least Alice asks each time."
)
@click.option("--minutes", default=60.0, show_default=True, help="Give up after this time.")
def main(messages: int, garbage: int, asks: int, minutes: float) -> None:
    flood = Flood(messages=messages, garbage=garbage)
    with Synapse() as synapse, tempfile.TemporaryDirectory() as folder:
        measuring = measure(synapse, Path(folder), flood, asks)
        is_fair = asyncio.run(asyncio.wait_for(measuring, minutes * 60))
    sys.exit(0 if is_fair else 1)


async def measure(synapse: Synapse, folder: Path, flood: Flood, asks: int) -> bool:
    """Print the figures; whether they are as promised."""
    credentials = synapse.register("bot")
    agents = [{"id": "echo", "name": "Echo", "kind": "echo"}]
    config = config_for(synapse.url, credentials, agents=agents, rooms={"onboarding": "none"})
    bot = BotProcess(folder, config)
    people = [Person(synapse.url, synapse.register(n)) for n in ("alice", "mallory", "other")]
    await bot.start()
    watch = Watch(bot)
    try:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(watch.run())
            is_fair = await _measure(bot, people, flood, asks, watch)
            watching.cancel()
    finally:
        await bot.stop()
        for person in people:
            await person.close()
    return is_fair


async def _measure(
    bot: BotProcess, people: list[Person], flood: Flood, asks: int, watch: Watch
) -> bool:
    alice, mallory, other = people
    asker = Asker(alice, await _room(alice, bot.user_id))
    lair = Lair(await _room(mallory, bot.user_id), await _room(mallory, bot.user_id, sealed=True))
    elsewhere = Lair(await _room(mallory), await _room(mallory, sealed=True))
    await mallory.invite(elsewhere.plain, other.user_id)
    await other.join(elsewhere.plain)

    alone = await asker.go_on(lambda: True, least=asks)
    _tell("alone", alone)
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(_send(mallory, elsewhere, flood))
        echoing = tasks.create_task(_echo(other, elsewhere.plain, flood.messages))
        load = await asker.go_on(sending.done, least=asks)
        echoing.cancel()  # what is left to say would be a lighter load than the flood
    _tell(f"beside the same load elsewhere, sent in {sending.result():.1f} s", load)

    began = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(_send(mallory, lair, flood))
        beside = await asker.go_on(sending.done, least=asks)
    _tell(f"beside the flood, sent in {sending.result():.1f} s", beside)
    async with asyncio.TaskGroup() as tasks:
        answering = tasks.create_task(_answered(bot, mallory, lair.plain, flood, began))
        after = await asker.go_on(answering.done, least=asks)
    _tell("while the bot works it off", after)
    took, faults = answering.result()
    left = await _settled(bot, began)
    during = [*beside, *after]
    ratio, share = median(during) / median(alone), median(during) / median(load)
    click.echo(f"messages={flood.messages} garbage={flood.garbage}+{flood.garbage} {faults}")
    click.echo(
        f"all messages answered {took:.1f} s after the first, nothing left {left:.1f} s after it"
    )
    click.echo(f"ratio_to_alone={ratio:.2f} ratio_to_the_same_load={share:.2f}")
    click.echo(
        f"memory_mb: {watch.before_mb:.1f} before, {watch.most_mb:.1f} at most,"
        f" {watch.now_mb():.1f} at the end"
    )
    return ratio <= 2 and faults == "lost=0 doubled=0 out_of_order=0"


async def _room(person: Person, bot: UserId | None = None, *, sealed: bool = False) -> RoomId:
    """A room, in which the bot has greeted the person if it is invited."""
    room = await person.create_room(invite=[] if bot is None else [bot], encrypted=sealed)
    async with asyncio.timeout(30):
        while bot and not await _has_spoken(bot, person, room):
            await asyncio.sleep(0.1)
    return room


async def _has_spoken(bot: UserId, person: Person, room: RoomId) -> bool:
    said = ("m.room.message", "m.room.encrypted")
    events = await person.raw_timeline(room)
    return any(event["sender"] == bot and event["type"] in said for event in events)


async def _send(person: Person, lair: Lair, flood: Flood) -> float:
    """Send the flood as fast as the homeserver takes it; the seconds that it took."""
    began = time.monotonic()
    text = {"msgtype": "m.text"}
    garbage = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "AwgA", "device_id": "D"}

    async def part(room: RoomId, kind: str, events: list[Json]) -> None:
        places = asyncio.Semaphore(AT_A_TIME)

        async def one(content: Json) -> None:
            async with places:
                await person.send(room, kind, content)

        await asyncio.gather(*map(one, events))

    said = [text | {"body": f"m{number}"} for number in range(flood.messages)]
    sealed = [garbage | {"session_id": f"s{n}", "sender_key": "k"} for n in range(flood.garbage)]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(part(lair.plain, "m.room.message", said))
        for room in (lair.plain, lair.encrypted):
            tasks.create_task(part(room, "m.room.encrypted", sealed))
    return time.monotonic() - began


async def _echo(person: Person, room: RoomId, messages: int) -> None:
    """What the bot would say, without a bot."""
    for number in range(messages):
        await person.say(room, f"[echo · chat 1] m{number}")


async def _answered(
    bot: BotProcess, person: Person, room_id: RoomId, flood: Flood, began: float
) -> tuple[float, str]:
    """Wait until every message is answered; the seconds since the flood began, and the faults."""
    reader = Reader(Talker(person), room_id)
    while True:
        room = fold(room_id, bot.user_id, await reader.read())
        answers = [a for a in room.answers if a.body is not None and ECHO.match(a.body)]
        if len({answer.answers for answer in answers}) >= flood.messages:
            break
        await asyncio.sleep(2)
    took = time.monotonic() - began
    await asyncio.sleep(2)
    room = fold(room_id, bot.user_id, await reader.read())
    asked = [q.event_id for q in room.questions if q.body is not None]
    answered = [a.answers for a in room.answers if a.answers in set(asked)]
    once = list(dict.fromkeys(answered))
    lost, doubled = len(asked) - len(once), len(answered) - len(once)
    disorder = sum(a != b for a, b in zip(once, [q for q in asked if q in set(once)], strict=True))
    return took, f"lost={lost} doubled={doubled} out_of_order={disorder}"


async def _settled(bot: BotProcess, began: float) -> float:
    """Wait until the bot owes nothing and no room is behind; the seconds since the flood began."""
    left = "SELECT (SELECT count(*) FROM behind) + (SELECT count(*) FROM outbox)"
    while bot.store.rows(left)[0][0]:
        bot.must_run()
        await asyncio.sleep(1)
    return time.monotonic() - began


def _timeline(answer: Json, room: RoomId) -> list[Json]:
    joined = answer.get("rooms", {}).get("join", {})
    events: list[Json] = joined.get(room, {}).get("timeline", {}).get("events", [])
    return events


def _tell(what: str, waits: list[float]) -> None:
    longest = quantiles(waits, n=20)[18]
    click.echo(
        f"{what}: {len(waits)} answers, {median(waits) * 1000:.0f} ms (median),"
        f" 95 % within {longest * 1000:.0f} ms, longest {max(waits) * 1000:.0f} ms"
    )


if __name__ == "__main__":
    main()
