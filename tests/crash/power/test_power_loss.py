"""What was acknowledged survives a power cut at any instant.

The product's own store runs on an SQLite whose file operations are recorded. The files are then
built as a cut after each operation may leave them (``disk.py`` says what may be left), and the
product opens them, plainly, as after a real cut.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from attrs import define, field

from durable.store import SqliteStore, StoreError
from tests.crash.power.adapter import connecting
from tests.crash.power.disk import UNCERTAIN, Disk, Files, Variant, dropped, kept
from tests.crash.power.model import Model, on_disk
from tests.crash.power.recording import Log, RecordingVFS
from tests.crash.power.script import Script
from tests.support.store.opening import noon, plain

NAME = "lambda_matrix.db"
SEED = 11
MAKING_A_FILE = 20
"""As many times the random variants of a cut are drawn until something was acknowledged."""


@define
class Run:
    log: Log
    states: list[Model]

    def acknowledged_before(self, cut: int) -> int:
        return max((n for after, n in self.log.acknowledged if after <= cut), default=0)


@define
class Findings:
    images: int = 0
    opened: int = 0
    lost: list[str] = field(factory=list)
    """Images in which an acknowledged change is missing."""
    broken: list[str] = field(factory=list)
    """Images that do not open, are damaged, or hold what no transaction left."""


@pytest.mark.parametrize("every", [1, 8])
async def test_full_loses_nothing_that_was_acknowledged(folder: Path, every: int) -> None:
    began = time.monotonic()
    run = await record(folder / "recorded", "FULL")

    def variants(cut: int) -> Iterable[Variant]:
        # a file is made within a few operations, each unlike any later one
        times = 1 if run.acknowledged_before(cut) else MAKING_A_FILE
        return (dropped, kept, *UNCERTAIN * times)

    findings = await cut_after(every, run, folder / "cut", variants)

    report("FULL", run, findings, time.monotonic() - began)
    assert len(run.log.acknowledged) == len(run.states) - 1 == run.log.transactions[-1]
    assert has_a_group(run)
    assert findings.broken == []
    assert findings.lost == []


async def test_normal_is_found_to_lose_what_was_acknowledged(folder: Path) -> None:
    began = time.monotonic()
    run = await record(folder / "recorded", "NORMAL")

    findings = await cut_after(1, run, folder / "cut", lambda _cut: (dropped,))

    report("NORMAL", run, findings, time.monotonic() - began)
    assert findings.broken == []  # what is left is whole all the same
    assert len(findings.lost) > 0


async def record(folder: Path, synchronous: str) -> Run:
    name = f"recording-{synchronous}"
    log = Log()
    vfs = RecordingVFS(log, name)
    script = Script(log)
    try:
        await script.run(folder / NAME, connecting(log, name, synchronous=synchronous))
    finally:
        vfs.unregister()
    return Run(log, script.states)


def has_a_group(run: Run) -> bool:
    return any(end - begin > 1 for begin, end in pairwise(run.log.transactions))


async def cut_after(
    every: int, run: Run, folder: Path, variants: Callable[[int], Iterable[Variant]]
) -> Findings:
    """Cut before the first operation and after each n-th; images that are alike are opened once."""
    findings = Findings()
    known: dict[int, int | str] = {}
    disk = Disk()
    random = Random(SEED)
    folder.mkdir()
    for cut in range(len(run.log.operations) + 1):
        if cut:
            disk.do(run.log.operations[cut - 1])
        if cut % every:
            continue
        for variant in variants(cut):
            files = disk.after_cut(variant(disk.pending, random))
            image = hash(tuple(sorted(files.items())))
            if image not in known:
                findings.opened += 1
                known[image] = await changes_in(run, folder, files)
            findings.images += 1
            found = known[image]
            where = f"after operation {cut}, {variant.__name__}: {found}"
            if isinstance(found, str):
                findings.broken.append(where)
            elif found < run.acknowledged_before(cut):
                findings.lost.append(where)
    return findings


async def changes_in(run: Run, folder: Path, files: Files) -> int | str:
    """How many changes the files hold, or what is wrong with them."""
    for old in folder.iterdir():
        old.unlink()
    for name, contents in files.items():
        (folder / name).write_bytes(contents)
    try:
        store = await SqliteStore.open(folder / NAME, now=noon)
        with plain(folder / NAME) as db:
            integrity, found = check(db), on_disk(db)
        await store.close()
    except StoreError as error:
        return str(error)
    if integrity != "ok":
        return integrity
    return next(
        (n for n in reversed(run.log.transactions) if run.states[n] == found),
        "no transaction left this",
    )


def check(db: sqlite3.Connection) -> str:
    return "\n".join(line for (line,) in db.execute("PRAGMA integrity_check"))


def report(synchronous: str, run: Run, findings: Findings, seconds: float) -> None:
    print(
        f"\nsynchronous={synchronous}: {len(run.log.operations)} operations,"
        f" {len(run.log.acknowledged)} acknowledged changes"
        f" in {len(run.log.transactions) - 1} transactions;"
        f" {findings.images} cuts x variants ({findings.opened} different);"
        f" lost in {len(findings.lost)}, broken {len(findings.broken)}; {seconds:.1f} s"
    )
