"""A circuit breaker: an agent that failed several times in a row is not asked for a while.

Lost at a restart: which agents have failed. That is fine: if an agent still fails, the first
questions after the restart show that again.
"""

import time
from collections.abc import Callable

MAX_FAILURES = 3
"""The number of failures in a row that opens the circuit."""

FIRST_PAUSE_SECONDS = 5.0
"""The pause between the opening of the circuit and the first trial request.

Each failed trial doubles the pause.
"""

MAX_PAUSE_SECONDS = 120.0
"""The maximum pause before a trial request."""


class Breaker:
    """Decides whether requests to one agent are allowed.

    While the circuit is closed, all requests are allowed. While it is open, none is, except one
    trial request after each pause.

    Args:
        monotonic: Returns the current monotonic time in seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._failures = 0
        self._pause = FIRST_PAUSE_SECONDS
        self._open_until: float | None = None
        self._is_on_trial = False

    @property
    def is_open(self) -> bool:
        """Whether the circuit is open: no request is allowed, except a trial after the pause."""
        return self._open_until is not None

    def allows(self) -> bool:
        """Return whether a request may be sent now.

        After True, call ``succeeded``, ``failed`` or ``cancelled`` with the request's outcome.
        """
        if self._open_until is None:
            return True
        if self._is_on_trial or self._monotonic() < self._open_until:
            return False
        self._is_on_trial = True
        return True

    def succeeded(self) -> None:
        """Record that the request succeeded, and close the circuit."""
        self._failures, self._pause = 0, FIRST_PAUSE_SECONDS
        self._open_until, self._is_on_trial = None, False

    def failed(self) -> None:
        """Record that the request failed.

        After ``MAX_FAILURES`` failures in a row, open the circuit. After a failed trial, double the
        pause.
        """
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
