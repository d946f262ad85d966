"""What `make soak` does for hours, for as long as CI can wait."""

from pathlib import Path

import pytest

from benchmarks.soak import Settings, soak

MUST_HAPPEN = (
    "burst",
    "homeserver restarted with the bot down",
    "edit",
    "redact",
    "amended before it was handled",
    "made",
    "new",
    "left",
)

pytestmark = pytest.mark.homeserver


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kills", [10, 60])
async def test_kills_lose_double_reorder_and_reuse_nothing(tmp_path: Path, kills: int) -> None:
    settings = Settings(seed=1, kills=kills, people=3, rooms=3, rate=3, life_seconds=1)

    report = await soak(settings, tmp_path)

    print(report.details, report.line, sep="\n")  # the figures
    assert report.kills >= kills
    assert report.verdict.messages > 2 * kills
    assert report.verdict.faults == (), report.faults
    assert " lost=0 doubled=0 out_of_order=0 reused=0 stale=0 " in report.line
    assert not set(MUST_HAPPEN) - set(+report.acts)
