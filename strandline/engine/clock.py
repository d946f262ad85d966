"""The system's clocks. A test may set them forward."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import frozen

VARIABLE = "STRANDLINE_TEST_CLOCK"
"""Environment variable with a path. The number of seconds in that file is added to both clocks."""


@frozen(kw_only=True)
class Clock:
    """The wall clock, and a monotonic one.

    Args:
        now: Returns the time of the wall clock, timezone-aware, in UTC.
        monotonic: Returns the time of a monotonic clock, in seconds.
        ahead_seconds: Returns how far a test has set both clocks forward.
        sweep_seconds: The time between two searches for expired states.
    """

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    ahead_seconds: Callable[[], float] = lambda: 0.0
    sweep_seconds: float = 1.0


def clock_of(environment: Mapping[str, str]) -> Clock:
    """Return the system's clocks; a test may set them forward with a file.

    Args:
        environment: The environment variables. ``VARIABLE`` has the path of the file; if it is not
            set, the clocks are never set forward.
    """
    path = environment.get(VARIABLE)
    if not path:
        return Clock()
    ahead = Path(path)
    return Clock(
        now=lambda: datetime.now(UTC) + timedelta(seconds=_seconds(ahead)),
        monotonic=lambda: time.monotonic() + _seconds(ahead),
        ahead_seconds=lambda: _seconds(ahead),
        sweep_seconds=0.05,
    )


def _seconds(path: Path) -> float:
    try:
        return float(path.read_text() or 0)
    except FileNotFoundError:
        return 0.0
