"""Many rooms ask at once, and an agent answers each of them word by word.

Beside it stands the homeserver's own ceiling: how many edits of such a size it takes in a second
from several clients of one account, with no bot, in the same run.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import click
from attrs import frozen

from fsm.values.ids import EventId, RoomId
from strandline.testing import BotProcess, Person, Synapse
from strandline.testing.bot import config_for
from strandline.testing.processes import free_port

T = TypeVar("T")

ROOMS_EACH = 10
"""So many rooms has each person."""

AT_A_TIME = 8
CEILING_SECONDS = 15.0
CEILING_CLIENTS = 16


@frozen(kw_only=True)
class Case:
    """What is measured.

    Args:
        rooms: In how many rooms an answer grows at the same time.
        words: How many words an answer has.
        words_a_second: How fast the agent says them.
        most_seconds: Give up after this time.
    """

    rooms: int
    words: int
    words_a_second: float
    most_seconds: float


@frozen(kw_only=True)
class Seen:
    """What a room has of its answer, in Unix time.

    Args:
        first: When its first text came.
        whole: When its last text came.
        edits: How many edits it had.
        messages: How many messages answer the question.
        text: How it ends.
    """

    first: float
    whole: float
    edits: int
    messages: int
    text: str


@click.command(help=__doc__)
@click.option("--rooms", default=200, show_default=True)
@click.option("--words", default=1_200, show_default=True)
@click.option("--words-a-second", default=60.0, show_default=True)
@click.option("--default-limits", is_flag=True, help="Synapse's own rate limits stay in force.")
@click.option("--minutes", default=20.0, show_default=True, help="Give up after this time.")
def main(
    rooms: int,
    words: int,
    words_a_second: float,
    default_limits: bool,  # noqa: FBT001
    minutes: float,
) -> None:
    case = Case(rooms=rooms, words=words, words_a_second=words_a_second, most_seconds=minutes * 60)
    with Synapse(limited=default_limits) as synapse, tempfile.TemporaryDirectory() as folder:
        is_whole = asyncio.run(measure(synapse, Path(folder), case))
    sys.exit(0 if is_whole else 1)


async def measure(synapse: Synapse, folder: Path, case: Case) -> bool:
    """Print the figures; whether every answer was there once and whole."""
    port = free_port()
    module = "benchmarks.streaming.platform"
    arguments = [str(port), str(case.words), str(case.words_a_second)]
    platform = subprocess.Popen([sys.executable, "-m", module, *arguments])  # noqa: ASYNC220, S603
    credentials = synapse.register("bot")
    agent = {
        "id": "tides",
        "kind": "http",
        "at_a_time": case.rooms,
        "options": {"url": f"http://127.0.0.1:{port}/ask"},
    }
    config = config_for(
        synapse.url,
        credentials,
        agents=[agent],
        rooms={"onboarding": "none"},
        limits={"questions_each": case.rooms, "answer_seconds": case.most_seconds},
    )
    bot = BotProcess(folder, config)
    people = [
        Person(synapse.url, synapse.register(f"guest{n}"))
        for n in range(-(-case.rooms // ROOMS_EACH))
    ]
    await bot.start()
    try:
        rooms = await _meet(people, bot, case)
        is_whole = await _ask(rooms, bot, case, f"http://127.0.0.1:{port}/times")
    finally:
        await bot.stop()
        platform.kill()
        platform.wait()
        for person in people:
            await person.close()
    await _ceiling(Person(synapse.url, credentials), [room for _, room in rooms], case)
    return is_whole


async def _meet(people: list[Person], bot: BotProcess, case: Case) -> list[tuple[Person, RoomId]]:
    """The rooms, in each of which the bot has greeted."""

    async def room_of(person: Person) -> tuple[Person, RoomId]:
        room = await _patiently(lambda: person.create_room(invite=[bot.user_id]))
        await person.sees(room, "Hello!", timeout_seconds=case.most_seconds)
        return person, room

    owners = [people[n // ROOMS_EACH] for n in range(case.rooms)]
    return await _side_by_side([partial(room_of, person) for person in owners])


async def _ask(
    rooms: list[tuple[Person, RoomId]], bot: BotProcess, case: Case, times_url: str
) -> bool:
    pid = bot.pid
    assert pid is not None  # it runs
    before_kb, cpu_before = _memory_kb(pid, "VmRSS"), _cpu_seconds(pid)
    began = time.time()
    questions = await asyncio.gather(
        *(_patiently(partial(person.say, room, "How are the tides?")) for person, room in rooms)
    )
    while (
        not await _are_answered(bot, questions, times_url)
        and time.time() - began < case.most_seconds
    ):
        await asyncio.sleep(0.5)
    lasted = time.time() - began
    cpu = _cpu_seconds(pid) - cpu_before
    peak_kb = _memory_kb(pid, "VmHWM")
    seen = await _side_by_side(
        [partial(_seen, p, r, q) for (p, r), q in zip(rooms, questions, strict=True)]
    )
    times = await _times(times_url)
    whole = [s for s in seen if s.messages == 1 and s.text.rstrip().endswith(_last_word(case))]
    first = [s.first - times[q][0] for s, q in zip(seen, questions, strict=True) if s.messages]
    last = [s.whole - times[q][1] for s, q in zip(seen, questions, strict=True) if s in whole]
    edits = sum(s.edits for s in seen)
    click.echo(f"rooms={case.rooms} words={case.words} words_a_second={case.words_a_second:g}")
    click.echo(f"whole_and_once={len(whole)} lasted_s={lasted:.1f} cpu_s={cpu:.1f}")
    click.echo(f"from the agent's first word to the first text: {_spread(first)}")
    click.echo(f"from the agent's last word to the whole text: {_spread(last)}")
    click.echo(f"edits={edits} edits_a_second={edits / lasted:.1f}")
    click.echo(f"memory: {before_kb / 1000:.1f} MB before, {peak_kb / 1000:.1f} MB at most")
    return len(whole) == case.rooms


async def _seen(person: Person, room: RoomId, question: EventId) -> Seen:
    """What the homeserver has of the answer."""
    events: list[dict[str, Any]] = []
    token = ""
    while True:
        page = await person.request("GET", f"/rooms/{room}/messages?dir=b&limit=500{token}")
        events += page["chunk"]
        if "end" not in page:
            break
        token = f"&from={page['end']}"
    relations = [(e, e["content"].get("m.relates_to", {})) for e in reversed(events)]
    answers = [e for e, r in relations if r.get("m.in_reply_to", {}).get("event_id") == question]
    if not answers:
        return Seen(first=0, whole=0, edits=0, messages=0, text="")
    head = answers[0]
    edits = [
        e
        for e, r in relations
        if r.get("rel_type") == "m.replace" and r.get("event_id") == head["event_id"]
    ]
    content = edits[-1]["content"]["m.new_content"] if edits else head["content"]
    last = max(e["origin_server_ts"] for e in (*answers, *edits))
    return Seen(
        first=head["origin_server_ts"] / 1000,
        whole=last / 1000,
        edits=len(edits),
        messages=len(answers),
        text=content["body"],
    )


async def _ceiling(account: Person, rooms: list[RoomId], case: Case) -> None:
    """How many edits the homeserver takes from one account, as many clients as are of use."""
    body = "tide and shore " * (case.words // 4)
    new = {"msgtype": "m.text", "body": body, "format": "org.matrix.custom.html"}
    new["formatted_body"] = f"<p>{body}</p>"
    sent, taken_s = 0, list[float]()
    end = time.monotonic() + CEILING_SECONDS
    heads = {room: await _patiently(partial(account.say, room, "…")) for room in rooms[:16]}

    async def client(number: int) -> None:
        nonlocal sent
        room = rooms[number % len(heads)]
        relation = {"rel_type": "m.replace", "event_id": heads[room]}
        content = {"msgtype": "m.text", "body": "*", "m.new_content": new, "m.relates_to": relation}
        while time.monotonic() < end:
            began = time.monotonic()
            await _patiently(lambda: account.send(room, "m.room.message", content))
            taken_s.append(time.monotonic() - began)
            sent += 1

    end = time.monotonic() + CEILING_SECONDS
    await asyncio.gather(*(client(number) for number in range(CEILING_CLIENTS)))
    await account.close()
    click.echo(
        f"the homeserver's own ceiling: {sent / CEILING_SECONDS:.1f} edits a second from "
        f"{CEILING_CLIENTS} clients, each taking {statistics.median(taken_s):.3f} s (median)"
    )


async def _are_answered(bot: BotProcess, questions: list[EventId], times_url: str) -> bool:
    times = await _times(times_url)
    is_said = sum(len(of_one) == 2 for of_one in times.values()) >= len(questions)
    left = "SELECT (SELECT count(*) FROM stream) + (SELECT count(*) FROM outbox)"
    return is_said and not bot.store.rows(left)[0][0]


async def _times(url: str) -> dict[str, list[float]]:
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        times: dict[str, list[float]] = await answer.json()
    return times


def _last_word(case: Case) -> str:
    number = case.words - 1
    return "tide" if number % 9 else "shore."


def _spread(seconds: list[float]) -> str:
    if len(seconds) < 2:
        return "too few"
    cuts = statistics.quantiles(seconds, n=20)
    return f"median {cuts[9]:.2f} s, 95 % within {cuts[18]:.2f} s, longest {max(seconds):.2f} s"


def _memory_kb(pid: int, key: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def _patiently(ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Ask again for as long as the homeserver's rate limits say no."""
    while True:
        try:
            return await ask()
        except Exception as error:
            if "M_LIMIT_EXCEEDED" not in str(error):
                raise
            await asyncio.sleep(1)


async def _side_by_side(asks: list[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
    places = asyncio.Semaphore(AT_A_TIME)

    async def one(ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async with places:
            return await ask()

    return list(await asyncio.gather(*(one(ask) for ask in asks)))


main()
