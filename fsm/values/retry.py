"""Named retry policies, and the loop that follows them. Sleep, clock and randomness are passed in.

The caller decides which errors are retried: each folder knows its own errors.
"""

import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from attrs import evolve, frozen

T = TypeVar("T")

MAX_DOUBLINGS = 30
"""The wait doubles no further."""

RetryAfter = Callable[[Exception], float | None]
"""Seconds that the other side asks for (0.0 if it names none), or None: don't retry this error."""

OnFailure = Callable[[Exception, int], None]
"""Receives each failure and the number of the attempt, counted from 1."""


@frozen(kw_only=True)
class RetryPolicy:
    """Exponential backoff with jitter, and when to give up.

    Args:
        first_wait_seconds: The longest wait after the first failure; it doubles with each further
            one.
        max_wait_seconds: The maximum backoff. A wait that the server asks for is added to it.
        jitter: Each wait is a uniform random value between these two fractions of the backoff.
        retry_after_jitter: The fraction of the backoff that is added to a wait that the server asks
            for.
        max_retry_after_seconds: Give up if the server asks for a longer wait.
        max_seconds: Give up after a failure that comes later than this.
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
        """How long to wait before the next attempt.

        Args:
            failures: The number of failed attempts, 1 or more.
            retry_after_seconds: The wait that the server asks for, or 0.0.
            uniform: Returns a random number between two others.
        """
        doubled = self.first_wait_seconds * 2.0 ** min(failures - 1, MAX_DOUBLINGS)
        backoff = min(self.max_wait_seconds, doubled) * uniform(*self.jitter)
        if not retry_after_seconds:
            return backoff
        return retry_after_seconds + backoff * self.retry_after_jitter

    def gives_up(self, failures: int, retry_after_seconds: float, elapsed_seconds: float) -> bool:
        """Whether to stop retrying."""
        return (
            failures >= self.max_attempts
            or elapsed_seconds >= self.max_seconds
            or retry_after_seconds > self.max_retry_after_seconds
        )


HOMESERVER = RetryPolicy(first_wait_seconds=0.25, max_wait_seconds=15.0)
"""Requests whose result the bot can't do without: retried until they work or are refused."""

HOMESERVER_LOOKUP = evolve(HOMESERVER, max_seconds=30.0, max_attempts=6)
"""Reads that only add to an event: it is handled without them, rather than never."""

DOWNLOAD = evolve(HOMESERVER, max_seconds=30.0)
"""A download that does not begin."""

UPLOAD = evolve(HOMESERVER, max_seconds=60.0)
"""An upload: its user is waiting."""

AGENT = RetryPolicy(
    first_wait_seconds=0.8,
    max_wait_seconds=0.8,
    jitter=(0.375, 1.0),
    retry_after_jitter=1.0,
    max_retry_after_seconds=10.0,
    max_attempts=3,
)
"""A question to an agent that is unreachable or busy, before the first piece of its answer."""

TURN = RetryPolicy(first_wait_seconds=0.2, max_wait_seconds=1.6, jitter=(1.0, 1.0), max_attempts=5)
"""A turn that raises; after the last attempt its event is parked."""

STORE = RetryPolicy(first_wait_seconds=1.0, max_wait_seconds=1.0, jitter=(1.0, 1.0))
"""A store that can't be written: no turn is taken until it can."""


@frozen(kw_only=True)
class RetryTiming:
    """The functions that the retry loop needs: sleep, clock and random numbers.

    Args:
        sleep: Waits for a number of seconds.
        monotonic: A clock, in seconds.
        uniform: Returns a random number between two others.
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
    """Run the operation until it succeeds, its error is not retryable, or the policy gives up.

    Raises:
        Exception: What the last attempt raised.
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
