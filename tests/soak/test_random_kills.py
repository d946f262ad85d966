"""What `make soak` does for hours, for as long as CI can wait."""

from pathlib import Path

import pytest

from benchmarks.soak import Settings, soak

pytestmark = pytest.mark.homeserver


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kills", [15, 60])
async def test_kills_lose_double_reorder_and_reuse_nothing(tmp_path: Path, kills: int) -> None:
    settings = Settings(seed=1, kills=kills, people=4, rooms=6, rate=3, life_seconds=1)

    report = await soak(settings, tmp_path)

    print(report.details, report.line, sep="\n")  # the figures
    assert report.kills >= kills
    assert report.verdict.messages > 2 * kills
    assert report.verdict.faults == (), report.faults
