"""A process that is killed at any instant keeps all that it had acknowledged."""

import re
from pathlib import Path
from random import Random
from signal import SIGKILL

import pytest

import durable
from tests.support.store.opening import contents, open_store, plain
from tests.support.store.processes import child, kill, read

POINTS = sorted(
    {
        point
        for file in Path(durable.__file__).parent.rglob("*.py")
        for point in re.findall(r'reach\("([^"]+)"\)', file.read_text("utf-8"))
    }
)
STEPS = ("committed", "delivered", "row parked", "event parked", "advanced", "closed")


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_process_keeps_every_commit_it_reported(path: Path, seed: int) -> None:
    random = Random(seed)
    reported: set[str] = set()

    for life in range(4):
        with child("commits", path, str(life * 1_000_000)) as process:
            read(process, 1)  # begun
            reported.update(read(process, random.choice((0, 1, 50, 500, 2000))))
            reported.update(kill(process))

        with plain(path) as db:
            check(db, reported)
    assert reported


def check(db: object, reported: set[str]) -> None:
    """Every reported turn is there, and every turn is whole."""

    def column(statement: str) -> set[str]:
        return {name for (name,) in db.execute(statement)}  # type: ignore[attr-defined]

    assert column("PRAGMA integrity_check") == {"ok"}
    if not column("SELECT name FROM sqlite_schema"):
        assert not reported  # killed before the first migration
        return
    present = column("SELECT substr(key, 3) FROM kv WHERE key >= 'a:' AND key < 'a;'")
    assert reported <= present
    assert present == column("SELECT substr(key, 3) FROM kv WHERE key >= 'b:' AND key < 'b;'")
    assert present == column("SELECT transaction_id FROM outbox")
    assert present == column("SELECT substr(event_id, 2) FROM handled")


def test_the_failpoints_are_read_from_the_code() -> None:
    assert {"commit.begin", "commit.written", "commit.done", "migration.before"} <= set(POINTS)
    assert len(POINTS) >= 14


@pytest.mark.parametrize("begins", ["in a new folder", "on a store that is there"])
@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_at_any_failpoint_leaves_the_last_step_done_or_undone(
    path: Path, point: str, begins: str
) -> None:
    late = ["late"] if begins == "on a store that is there" else []

    with child("one_of_each", path, point, *late) as process:
        reported = read(process, len(STEPS) + 1)
        process.wait()

    done = await steps_on_disk(path)
    reached = not (late and point.startswith("migration."))
    assert process.returncode == (-SIGKILL if reached else 0)
    assert reported == list(STEPS[: len(reported)])
    assert done[: len(reported)] == [True] * min(len(reported), len(done))
    assert not any(done[len(reported) + 1 :])


async def steps_on_disk(path: Path) -> list[bool]:
    store = await open_store(path)
    await store.restart_report([])
    await store.close()
    with plain(path) as db:

        def has(statement: str) -> bool:
            return bool(db.execute(statement).fetchall())

        a, b = has("SELECT 1 FROM kv WHERE key = 'a'"), has("SELECT 1 FROM kv WHERE key = 'b'")
        assert a == b == has("SELECT 1 FROM handled WHERE event_id = '$command'")
        deleted = not has("SELECT 1 FROM outbox WHERE transaction_id = 'one'")
        has_head = has("SELECT 1 FROM stream WHERE head_event_id = '$head'")
        assert has_head == (a and deleted)
        parked = has("SELECT 1 FROM parked")
        assert parked == has("SELECT 1 FROM handled WHERE event_id = '$asked'")
        return [
            a,
            has_head,
            has("SELECT 1 FROM outbox WHERE parked_error = '403'"),
            parked,
            has("SELECT 1 FROM meta WHERE name = 'checkpoint'"),
        ]


@pytest.mark.parametrize("point", [p for p in POINTS if p.startswith("migration.")])
async def test_a_migration_cut_off_and_begun_again_gives_the_same_database(
    path: Path, tmp_path: Path, point: str
) -> None:
    whole = tmp_path / "whole" / path.name
    await (await open_store(whole)).close()

    with child("one_of_each", path, point) as process:
        process.wait()
    await (await open_store(path)).close()

    assert contents(whole) == contents(path)
