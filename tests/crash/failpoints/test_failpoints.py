"""A kill at every named point, at every kind of event: what people see afterwards is whole."""

import os
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.crash.failpoints import points
from tests.crash.failpoints.kinds import KINDS
from tests.crash.failpoints.table import Table
from tests.support.setup import Setup

IS_FULL = os.environ.get("STRANDLINE_FAILPOINTS") == "all"
PARTS = 3 if IS_FULL else 1
"""Into so many tests each kind is cut, for the workers to share."""


def test_every_failpoint_is_named_by_a_literal() -> None:
    assert [where for where, name in points.calls() if name is None] == []


def test_no_kind_of_event_owns_a_failpoint_that_is_gone() -> None:
    owned = [pattern for kind in KINDS.values() for pattern in kind.owns]
    assert [p for p in owned if not any(fnmatchcase(n, p) for n in points.names())] == []


@pytest.mark.homeserver
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", KINDS)
async def test_a_kill_at_any_point_of(
    setup: Setup,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    name: str,
    part: int,
) -> None:
    kind = KINDS[name]

    outcome = await Table(kind, setup, tmp_path, is_full=IS_FULL).run(part, PARTS)

    record_property("table", (name, part, outcome.cells, len(outcome.failures), outcome.seconds))
    record_property("reached", sorted(outcome.reached.items()))
    record_property("not reached", outcome.not_reached)
    told = "\n\n".join(f"{cell}: {what}" for cell, what in outcome.failures.items())
    assert not outcome.failures, told
    assert [n for n in points.names() if kind.has(n) and n not in outcome.reached] == []
    survived = [cell.removesuffix(":1") for cell in outcome.not_reached if cell.endswith(":1")]
    assert [point for point in survived if kind.has(point)] == []
