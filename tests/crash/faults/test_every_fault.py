"""Every fault in turn: the Nth statement, then the Nth request, until a run passes clean.

After each, the conversation must stand in the room as if nothing had happened: every message
answered once, in order, by one route.
"""

import asyncio
import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from strandline.testing import Person, Synapse
from tests.crash.faults.house import House, all_answered, assert_once_and_in_order, begin
from tests.crash.faults.proxy import FAULTS, Proxy
from tests.support.setup import Setup
from tests.support.store.faults import NthFails

SIDE_BY_SIDE = 8

Record = Callable[[str, object], None]

EVERY = os.environ.get("STRANDLINE_FAULTS") == "all"
"""``make faults`` strikes at every statement and request; CI at some, spread over the run."""

pytestmark = [pytest.mark.homeserver, pytest.mark.timeout(3600)]


async def _disk_run(synapse: Synapse, alice: Person, directory: Path, disk: NthFails) -> bool:
    """One conversation over a disk that fails once; whether it failed."""
    house = House(directory, synapse.url, synapse.register(directory.name))
    room = None
    async with house.living(disk.connect) as life:
        room = await begin(alice, house)
        done = await all_answered(alice, room, life=life)
    if not done:
        async with house.living() as life:
            assert await all_answered(alice, room, life=life), "a life without a fault ended"
    await assert_once_and_in_order(alice, room)
    return disk.left <= 0


@pytest.mark.parametrize(
    ("name", "step"),
    [("SQLITE_FULL", 1), ("SQLITE_IOERR", 1), ("SQLITE_BUSY", 1)]
    if EVERY
    else [("SQLITE_FULL", 37), ("SQLITE_IOERR", 41), ("SQLITE_BUSY", 43)],
)
async def test_a_disk_that_fails_at_any_statement_costs_no_answer(
    setup: Setup, synapse: Synapse, record_property: Record, name: str, step: int
) -> None:
    alice = await setup.person("alice")
    struck = 0
    for first in itertools.count(1, SIDE_BY_SIDE * step):
        async with asyncio.TaskGroup() as tasks:
            runs = [
                tasks.create_task(
                    _disk_run(
                        synapse,
                        alice,
                        setup.directory / f"{name.lower()}-{n}-{alice.localpart}",
                        NthFails(n, name),
                    )
                )
                for n in range(first, first + SIDE_BY_SIDE * step, step)
            ]
        hit = sum(run.result() for run in runs)
        struck += hit
        if hit < len(runs):
            break
    told = f"{name}: {struck} statements struck, one a run, the last number {struck * step}"
    record_property("struck", told)
    assert struck > 5


async def _network_run(
    synapse: Synapse, alice: Person, directory: Path, nth: int, fault: str
) -> bool:
    house = House(directory, synapse.url, synapse.register(directory.name))
    async with Proxy.to(synapse.url) as proxy:
        house.point_to(proxy.url)
        proxy.spoil = lambda _request, number: fault if number == nth else None
        async with house.living() as life:
            room = await begin(alice, house)
            done = await all_answered(alice, room, life=life)
        struck = proxy.spoilt > 0
        if not done:
            async with house.living() as life:
                assert await all_answered(alice, room, life=life), "a life without a fault ended"
        await assert_once_and_in_order(alice, room)
    return struck


@pytest.mark.parametrize("fault", FAULTS if EVERY else ("reset", "truncated", "reset after"))
async def test_a_request_that_fails_at_any_time_costs_no_answer(
    setup: Setup, synapse: Synapse, record_property: Record, fault: str
) -> None:
    alice = await setup.person("alice")
    struck = 0
    name = fault.replace(" ", "-")
    for first in itertools.count(1, SIDE_BY_SIDE):
        async with asyncio.TaskGroup() as tasks:
            runs = [
                tasks.create_task(
                    _network_run(
                        synapse,
                        alice,
                        setup.directory / f"{name}-{n}-{alice.localpart}",
                        n,
                        fault,
                    )
                )
                for n in range(first, first + SIDE_BY_SIDE)
            ]
        hit = sum(run.result() for run in runs)
        struck += hit
        if hit < len(runs) or (first > SIDE_BY_SIDE and not EVERY):
            break
    record_property("struck", f"{fault}: {struck} requests struck, one a run")
    assert struck > 10
