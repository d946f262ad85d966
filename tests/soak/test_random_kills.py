"""What `make soak` does for hours, for as long as CI can wait."""

from pathlib import Path

import pytest

from benchmarks.soak import Settings, soak

pytestmark = pytest.mark.homeserver


@pytest.mark.timeout(3600)
async def test_sixty_kills_lose_double_reorder_and_reuse_nothing(tmp_path: Path) -> None:
    settings = Settings(seed=1, kills=60, people=4, rooms=6, rate=3, life_seconds=1)

    report = await soak(settings, tmp_path)

    print(report.details, report.line, sep="\n")  # the figures
    assert report.kills >= 60
    assert report.verdict.messages > 100
    assert report.verdict.faults == (), report.faults
