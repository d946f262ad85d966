"""Every fault in turn, at every statement and every request, over the whole bot in memory.

``test_every_fault.py`` strikes the same bot at a real homeserver, in CI at some of the places.
"""

import asyncio
import itertools
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import structlog.testing

from tests.crash.faults.conversation import MemoryBot, MemoryNewcomer
from tests.support.store.faults import NthFails

DISK = ["SQLITE_FULL", "SQLITE_IOERR", "SQLITE_BUSY"]

EVERY = os.environ.get("STRANDLINE_FAULTS") == "all"
"""Each statement fails in every way. Without it each fails in one, in rotation."""

SIDE_BY_SIDE = 40
"""Most of a struck life is the pause before a store is tried again."""

MEMORY = Path("/dev/shm")  # noqa: S108  # in it, a folder with a name of its own


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


async def run_to_the_end(bot: MemoryBot, disk: NthFails) -> bool:
    """A life with a fault, and one without where that ends it; whether it did."""
    await bot.begin()
    async with bot.living(disk.connect) as life:
        done = await bot.all_answered(life)
    if not done:
        async with bot.living() as life:
            assert await bot.all_answered(life), "a life without a fault ended"
    await bot.assert_as_if_nothing_had_happened()
    return not done


async def strike_in_turn(strike: Callable[[int], Awaitable[tuple[bool, bool]]]) -> tuple[int, int]:
    """Strike at 1, 2, … until a run passes clean; how many were struck, how many lives it ended."""
    struck = ended = 0
    for first in itertools.count(1, SIDE_BY_SIDE):
        async with asyncio.TaskGroup() as tasks:
            runs = [tasks.create_task(_one(strike, n)) for n in range(first, first + SIDE_BY_SIDE)]
        results = [run.result() for run in runs]
        struck += sum(hit for hit, _ in results)
        ended += sum(hit and end for hit, end in results)
        if not all(hit for hit, _ in results):
            return struck, ended
    raise AssertionError


async def _one(
    strike: Callable[[int], Awaitable[tuple[bool, bool]]], nth: int
) -> tuple[bool, bool]:
    try:
        return await strike(nth)
    except BaseException as error:
        error.add_note(f"struck at number {nth}")
        raise


BOTS = [MemoryBot, MemoryNewcomer]


@pytest.mark.timeout(3600)  # it starts the bot some hundred times
@pytest.mark.parametrize("kind", BOTS)
@pytest.mark.parametrize("names", [[name] for name in DISK] if EVERY else [DISK], ids=" ".join)
async def test_a_disk_that_fails_at_any_statement_costs_no_answer_and_no_room(
    folder: Path, names: list[str], kind: type[MemoryBot]
) -> None:
    began = time.monotonic()

    async def strike(nth: int) -> tuple[bool, bool]:
        disk = NthFails(nth, names[nth % len(names)])
        ended = await run_to_the_end(kind(folder / str(nth)), disk)
        return disk.left <= 0, ended

    with structlog.testing.capture_logs() as log:
        struck, ended = await strike_in_turn(strike)

    report(", ".join(names), struck, ended, began)
    assert struck > 200
    assert [line for line in log if line["event"] == "turn failed"] == []


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", BOTS)
@pytest.mark.parametrize("fault", ["reset", "reset after", "429"])
async def test_a_request_that_fails_at_any_time_costs_no_answer_and_no_room(
    folder: Path, fault: str, kind: type[MemoryBot]
) -> None:
    began = time.monotonic()

    async def strike(nth: int) -> tuple[bool, bool]:
        bot = kind(folder / str(nth))
        bot.homeserver.fault = lambda number: fault if number == nth else None
        ended = await run_to_the_end(bot, NthFails(0, "SQLITE_FULL"))
        return bot.homeserver.struck > 0, ended

    with structlog.testing.capture_logs() as log:
        struck, ended = await strike_in_turn(strike)

    report(fault, struck, ended, began)
    assert struck > 10
    assert ended == 0
    assert [line for line in log if line["event"] == "turn failed"] == []


def report(what: str, struck: int, ended: int, began: float) -> None:
    seconds = time.monotonic() - began
    print(f"\n{what}: struck at 1 to {struck}, {ended} lives ended by it; {seconds:.1f} s")
