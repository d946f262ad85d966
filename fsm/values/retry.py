"""Retry policies, and the loop that follows a policy.

The caller passes the functions for sleep, clock and random numbers, and decides which errors are
retried.
"""

import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from attrs import evolve, frozen

T = TypeVar("T")

MAX_DOUBLINGS = 30
"""The maximum number of times that the wait doubles."""

RetryAfter = Callable[[Exception], float | None]
"""Called with the error of an attempt. Returns the seconds that the server asks to wait, 0.0 if it
asks for no wait, or None if the error must not be retried."""

OnFailure = Callable[[Exception, int], None]
"""Called after each failed attempt with the error and the attempt's number, from 1."""


@frozen(kw_only=True)
class RetryPolicy:
    """Exponential backoff with jitter, and when to give up.

    Args:
        first_wait_seconds: The backoff after the first failure. It doubles with each further
            failure.
        max_wait_seconds: The maximum backoff.
        jitter: Two fractions, such as 0.5 and 1.0. The backoff is multiplied by a random number
            between them.
        retry_after_jitter: If the server asks for a wait, the fraction of the backoff that is added
            to that wait.
        max_retry_after_seconds: Give up if the server asks for a longer wait than this.
        max_seconds: Give up at the first failure that comes this long after the first attempt
            began, or later.
        max_attempts: Give up after this number of attempts.
    """

    first_wait_seconds: float
    max_wait_seconds: float
    jitter: tuple[float, float] = (0.5, 1.0)
    retry_after_jitter: float = 0.2
    max_retry_after_seconds: float = float("inf")
    max_seconds: float = float("inf")
    max_attempts: int = sys.maxsize

    def wait_seconds(
        self,
        failures: int,
        retry_after_seconds: float,
        uniform: Callable[[float, float], float],
    ) -> float:
        """Return the seconds to wait before the next attempt.

        Args:
            failures: The number of failed attempts, 1 or more.
            retry_after_seconds: The wait that the server asks for; 0.0 if it asks for none.
            uniform: Called with two numbers; returns a random number between them.
        """
        doubled = self.first_wait_seconds * 2.0 ** min(failures - 1, MAX_DOUBLINGS)
        backoff = min(self.max_wait_seconds, doubled) * uniform(*self.jitter)
        if not retry_after_seconds:
            return backoff
        return retry_after_seconds + backoff * self.retry_after_jitter

    def gives_up(self, failures: int, retry_after_seconds: float, elapsed_seconds: float) -> bool:
        """Return whether to stop retrying.

        Args:
            failures: The number of failed attempts, 1 or more.
            retry_after_seconds: The wait that the server asks for; 0.0 if it asks for none.
            elapsed_seconds: The time since the first attempt began.
        """
        return (
            failures >= self.max_attempts
            or elapsed_seconds >= self.max_seconds
            or retry_after_seconds > self.max_retry_after_seconds
        )


HOMESERVER = RetryPolicy(first_wait_seconds=0.25, max_wait_seconds=15.0)
"""For requests that the bot can't do without: retried until they succeed or are refused."""

HOMESERVER_LOOKUP = evolve(HOMESERVER, max_seconds=30.0, max_attempts=6)
"""For reads of additional data for an event. If the read fails, the event is handled without it."""

DOWNLOAD = evolve(HOMESERVER, max_seconds=30.0)
"""For the start of a download. A download that has started is not retried."""

UPLOAD = evolve(HOMESERVER, max_seconds=60.0)
"""For uploads. A user waits for the result, so retrying ends earlier than for other requests."""

AGENT = RetryPolicy(
    first_wait_seconds=0.8,
    max_wait_seconds=0.8,
    jitter=(0.375, 1.0),
    retry_after_jitter=1.0,
    max_retry_after_seconds=10.0,
    max_attempts=3,
)
"""For a question to an agent that is unreachable or busy, until the first piece of its answer."""

TURN = RetryPolicy(first_wait_seconds=0.2, max_wait_seconds=1.6, jitter=(1.0, 1.0), max_attempts=5)
"""A turn that raises; after the last attempt its event is parked."""

STORE = RetryPolicy(first_wait_seconds=1.0, max_wait_seconds=1.0, jitter=(1.0, 1.0))
"""For a store that can't be written: each operation is retried until it succeeds."""


@frozen(kw_only=True)
class RetryTiming:
    """The functions that the retry loop needs: sleep, clock and random numbers.

    Args:
        sleep: Called with a number of seconds; waits that long.
        monotonic: Returns the time of a monotonic clock, in seconds.
        uniform: Called with two numbers; returns a random number between them.
    """

    sleep: Callable[[float], Awaitable[object]]
    monotonic: Callable[[], float]
    uniform: Callable[[float, float], float]


async def retry(
    operation: Callable[[], Awaitable[T]],
    policy: RetryPolicy,
    retry_after: RetryAfter,
    timing: RetryTiming,
    *,
    on_failure: OnFailure = lambda _error, _attempt: None,
) -> T:
    """Run an operation until it succeeds, and return its result.

    Args:
        operation: Called without arguments for each attempt.
        policy: How long to wait between attempts, and when to give up.
        retry_after: Called with the error of an attempt; returns the seconds that the server asks
            to wait, 0.0 for no wait, or None if the error must not be retried.
        timing: The functions for sleep, clock and random numbers.
        on_failure: Called after each failed attempt with the error and the attempt's number, from
            1.

    Raises:
        Exception: The error of the last attempt, if it must not be retried or the policy gives up.
    """
    began = timing.monotonic()
    failures = 0
    while True:
        try:
            return await operation()
        except Exception as error:
            failures += 1
            on_failure(error, failures)
            asked = retry_after(error)
            if asked is None or policy.gives_up(failures, asked, timing.monotonic() - began):
                raise
        await timing.sleep(policy.wait_seconds(failures, asked, timing.uniform))
