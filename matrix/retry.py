"""Patience: trying again what a homeserver that is away, busy or broken did not do."""

import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina
from attrs import define, frozen

from matrix.errors import RateLimited, StoreFailed, Unreachable

T = TypeVar("T")

# A homeserver that is away for an hour is one line in the log, which the HTTP client writes when
# it is lost and when it is back. stamina's own hook would write one for each try.
stamina.instrumentation.set_on_retry_hooks([])


@frozen
class Patience:
    """How long to wait between tries: exponential back-off, each wait drawn from its upper half.

    Args:
        first_seconds: The wait after the first failure.
        longest_seconds: No wait is longer, unless the homeserver asks for more.
        most_seconds: Give up after this time, or never (None).
    """

    first_seconds: float = 0.25
    longest_seconds: float = 15.0
    most_seconds: float | None = None


FOR_EVER = Patience()
"""Tries until it works or is cancelled."""


async def persist(operation: Callable[[], Awaitable[T]], patience: Patience = FOR_EVER) -> T:
    """Do it until it works; only what is permanent, or the end of patience, is raised.

    Raises:
        MatrixError: What the last try raised.
    """
    async for attempt in stamina.retry_context(
        on=_Waits(patience), attempts=None, timeout=patience.most_seconds
    ):
        with attempt:
            return await operation()
    raise AssertionError("stamina's iterator ends by returning or raising")  # pragma: no cover


@define
class _Waits:
    """The back-off hook of one operation: counts its failures, decides on the next wait."""

    _patience: Patience
    _failures: int = 0

    def __call__(self, error: Exception) -> bool | float:
        if not isinstance(error, Unreachable | RateLimited | StoreFailed):
            return False
        longest = min(
            self._patience.longest_seconds,
            self._patience.first_seconds * 2.0 ** min(self._failures, 30),
        )
        self._failures += 1
        jittered = longest * random.uniform(0.5, 1.0)  # noqa: S311  # not a secret
        if isinstance(error, RateLimited):
            return max(error.retry_after_ms / 1000, 0.05) + jittered * 0.2
        return jittered
