"""Where time comes from: the system's clocks, which a test may set forward."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import frozen

VARIABLE = "STRANDLINE_TEST_CLOCK"
"""A path. The seconds that a test writes there are added to both clocks; no file adds none."""


@frozen(kw_only=True)
class Clock:
    """Two clocks.

    Args:
        now: The wall clock, aware UTC.
        monotonic: Seconds that never run backwards.
    """

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic


def clock_of(environment: Mapping[str, str]) -> Clock:
    """The system's clock, or one that runs ahead of it as the environment says."""
    path = environment.get(VARIABLE)
    if not path:
        return Clock()
    ahead = Path(path)
    return Clock(
        now=lambda: datetime.now(UTC) + timedelta(seconds=_seconds(ahead)),
        monotonic=lambda: time.monotonic() + _seconds(ahead),
    )


def _seconds(path: Path) -> float:
    try:
        return float(path.read_text() or 0)
    except FileNotFoundError:
        return 0.0
