"""Tests a flow by its walks: a separate user takes each walk, and then the bot is killed."""

from strandline.testing.walking.causes import Inputs, Sample, Without
from strandline.testing.walking.in_pytest import kill_everywhere
from strandline.testing.walking.run import KillEverywhereRun, Report, WalkFailed
from strandline.testing.walking.walker import Cause, Walker

__all__ = [
    "Cause",
    "Inputs",
    "KillEverywhereRun",
    "Report",
    "Sample",
    "WalkFailed",
    "Walker",
    "Without",
    "kill_everywhere",
]
