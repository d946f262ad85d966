"""A circuit breaker: who has failed several times in a row is left alone for a while.

Lost at a restart: what has failed. That is fine: it is found out again by the first questions.
"""

import time
from collections.abc import Callable

FAILURES = 3
"""So many failures in a row open the circuit."""

FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 120.0


class Breaker:
    """Closed, everything passes; open, nothing; after the pause, one trial decides.

    Args:
        monotonic: A clock, in seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._failures = 0
        self._pause = FIRST_PAUSE_SECONDS
        self._open_until: float | None = None
        self._is_on_trial = False

    @property
    def is_open(self) -> bool:
        """Whether nothing passes just now, but for a trial."""
        return self._open_until is not None

    def lets_pass(self) -> bool:
        """Whether to try. Each True must be followed by one of the three calls below."""
        if self._open_until is None:
            return True
        if self._is_on_trial or self._monotonic() < self._open_until:
            return False
        self._is_on_trial = True
        return True

    def succeeded(self) -> None:
        """It has answered."""
        self._failures, self._pause = 0, FIRST_PAUSE_SECONDS
        self._open_until, self._is_on_trial = None, False

    def failed(self) -> None:
        """It could not be reached."""
        self._failures += 1
        if self._failures < FAILURES and not self.is_open:
            return
        if self._is_on_trial:
            self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        self._is_on_trial = False
        self._open_until = self._monotonic() + self._pause

    def gave_up(self) -> None:
        """Nobody waited to see whether it would."""
        self._is_on_trial = False
