"""A whole bot loses power, and its next life makes up the rest from what is left.

The real bot (flows, turns, asking, delivery, intake, checkpoint) talks over a store whose file
operations are recorded. The homeserver keeps its power: it has what it had been told when the cut
came, and holds the next life to it. Not covered: nio's crypto store, which has files of its own.
"""

import asyncio
import sqlite3
import time
from pathlib import Path
from random import Random

import structlog.testing
from attrs import define, evolve, field, frozen

from durable.store import SqliteStore
from fsm.values.ids import EventId
from tests.crash.faults.conversation import SECOND, MemoryBot
from tests.crash.faults.memory import owed_in
from tests.crash.power.adapter import connecting
from tests.crash.power.disk import UNCERTAIN, Disk, Files, Variant, dropped, kept
from tests.crash.power.recording import Log, RecordingVFS
from tests.crash.power.witness import Witness, stem
from tests.support.store.opening import noon, plain

VARIANTS: tuple[Variant, ...] = (dropped, kept, *UNCERTAIN)
SIDE_BY_SIDE = 20
SEED = 5


@frozen
class Run:
    homeserver: Witness
    log: Log


@frozen
class Left:
    """What a cut has left.

    Args:
        files: Of the bot.
        contents: Of the database, as text.
        handled: The events that it has as handled.
        known: The stems of all events that it knows anything of.
        events: As many of the homeserver's events had happened.
        where: The cut.
    """

    files: Files
    contents: str
    handled: frozenset[EventId]
    known: frozenset[str]
    events: int = 0
    where: str = ""


@define
class Cuts:
    images: dict[int, Left] = field(factory=dict)
    different: dict[tuple[str, int], Left] = field(factory=dict)
    """One for each thing that the database can say at a number of events."""
    forgotten: list[str] = field(factory=list)
    """Cuts after which the bot knows nothing of an event to which it has sent something."""


async def test_a_bot_answers_each_message_once_wherever_its_power_goes(folder: Path) -> None:
    began = time.monotonic()
    with structlog.testing.capture_logs():
        run = await record(folder / "recorded", "FULL")
        cuts = await cut_everywhere(run, folder / "cut")
        lives = list(cuts.different.values())
        for first in range(0, len(lives), SIDE_BY_SIDE):
            async with asyncio.TaskGroup() as tasks:
                for number, left in enumerate(lives[first : first + SIDE_BY_SIDE], start=first):
                    tasks.create_task(go_on(run, left, folder / f"{number}"))

    report("FULL", run, cuts, began, f"{len(lives)} lives, each from something else")
    assert cuts.forgotten == []
    assert any(forgets_held(run, left) for left in lives)
    assert len(lives) > 30


async def test_normal_is_found_to_forget_what_was_answered(folder: Path) -> None:
    began = time.monotonic()
    with structlog.testing.capture_logs():
        run = await record(folder / "recorded", "NORMAL")
        cuts = await cut_everywhere(run, folder / "cut")

    report("NORMAL", run, cuts, began, "no lives")
    assert len(cuts.forgotten) > 0


async def record(folder: Path, synchronous: str) -> Run:
    """One whole life, with everything answered in it."""
    name = f"recording-bot-{synchronous}"
    log = Log()
    vfs = RecordingVFS(log, name)
    bot = MemoryBot(folder)
    # it looks for no row: another connection to the file would take away the locks of APSW's
    bot.homeserver = homeserver = Witness(disk=log)
    try:
        await bot.begin()
        async with bot.living(connecting(log, name, synchronous=synchronous)) as life:
            assert await bot.all_answered(life)
    finally:
        vfs.unregister()
    return Run(homeserver, log)


async def cut_everywhere(run: Run, folder: Path) -> Cuts:
    """Cut after each operation."""
    cuts, disk, random = Cuts(), Disk(), Random(SEED)
    folder.mkdir()
    for cut, operation in enumerate(run.log.operations, start=1):
        disk.do(operation)
        possible = run.homeserver.events_at(cut)
        for variant in VARIANTS:
            files = disk.after_cut(variant(disk.pending, random))
            image = hash(tuple(sorted(files.items())))
            if image not in cuts.images:
                cuts.images[image] = await look(folder, files)
            for events in possible:
                where = f"after operation {cut} and event {events}, {variant.__name__}"
                left = evolve(cuts.images[image], events=events, where=where)
                cuts.different.setdefault((left.contents, events), left)
            if not run.homeserver.answered(possible[-1]) <= cuts.images[image].known:
                cuts.forgotten.append(where)
    return cuts


async def look(folder: Path, files: Files) -> Left:
    for old in folder.iterdir():
        old.unlink()
    put(files, folder)
    store = await SqliteStore.open(folder / "lambda_matrix.db", now=noon)
    with plain(folder / "lambda_matrix.db") as db:
        left = read(db, files)
    await store.close()
    return left


def read(db: sqlite3.Connection, files: Files) -> Left:
    handled, stream, reopened = (
        frozenset(EventId(event_id) for (event_id,) in db.execute(f"SELECT event_id FROM {table}"))  # noqa: S608
        for table in ("handled", "stream", "reopened")
    )
    known = frozenset(stem(event_id) for event_id in handled | stream | reopened)
    return Left(files, "\n".join(db.iterdump()), handled, known)


def put(files: Files, folder: Path) -> None:
    for name, contents in files.items():
        (folder / name).write_bytes(contents)


async def go_on(run: Run, left: Left, folder: Path) -> None:
    """Live from what is left, and have everything answered once."""
    bot = MemoryBot(folder)
    bot.database.parent.mkdir()
    put(left.files, bot.database.parent)
    bot.homeserver = run.homeserver.as_it_was(left.events, owed_in(bot.database))
    try:
        async with bot.living() as life:
            assert await bot.all_answered(life), "the life ended"
            if forgets_held(run, left):
                bot.send_again()
                assert await bot.all_answered(life), "the life ended"
        await bot.assert_as_if_nothing_had_happened()
    except BaseException as error:
        error.add_note(left.where)
        raise


def forgets_held(run: Run, left: Left) -> bool:
    """Whether a message waited for the choice of an agent: it is forgotten on purpose."""
    hello, chosen = (
        EventId(raw["event_id"])
        for room, raw in run.homeserver.log
        if room == SECOND and raw["content"].get("body") in {"hello", "!agent 2"}
    )
    return hello in left.handled and chosen not in left.handled


def report(synchronous: str, run: Run, cuts: Cuts, began: float, lives: str) -> None:
    print(
        f"\nsynchronous={synchronous}, a bot: {len(run.log.operations)} operations,"
        f" {len(run.homeserver.log)} events; {len(cuts.images)} different images; {lives};"
        f" forgotten in {len(cuts.forgotten)}; {time.monotonic() - began:.1f} s"
    )
