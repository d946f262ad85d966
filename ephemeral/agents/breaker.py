"""A circuit breaker: an agent that failed several times in a row is not asked for a while.

Lost at a restart: which agents have failed. That is fine: the first questions detect it again.
"""

import time
from collections.abc import Callable

MAX_FAILURES = 3
"""The number of failures in a row that opens the circuit."""

FIRST_PAUSE_SECONDS = 5.0
"""How long the circuit is open first. Each failed trial doubles the pause."""

MAX_PAUSE_SECONDS = 120.0
"""The longest time for which the circuit is open without a trial."""


class Breaker:
    """A circuit breaker. Closed: all requests allowed; open: none; after a pause: one trial.

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
        """Whether no request is allowed now, except a trial."""
        return self._open_until is not None

    def allows(self) -> bool:
        """Whether to send a request. After True, call one of the three methods below."""
        if self._open_until is None:
            return True
        if self._is_on_trial or self._monotonic() < self._open_until:
            return False
        self._is_on_trial = True
        return True

    def succeeded(self) -> None:
        """Record that the request succeeded."""
        self._failures, self._pause = 0, FIRST_PAUSE_SECONDS
        self._open_until, self._is_on_trial = None, False

    def failed(self) -> None:
        """Record that the agent could not be reached."""
        self._failures += 1
        if self._failures < MAX_FAILURES and not self.is_open:
            return
        if self._is_on_trial:
            self._pause = min(self._pause * 2, MAX_PAUSE_SECONDS)
        self._is_on_trial = False
        self._open_until = self._monotonic() + self._pause

    def cancelled(self) -> None:
        """Record that the request was cancelled before its outcome was known."""
        self._is_on_trial = False
