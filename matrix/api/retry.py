"""Patience: trying again what a homeserver that is away, busy or broken did not do."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina
import structlog
from attrs import define, frozen

from fsm.values.ids import RoomId
from matrix.api.errors import RateLimited, Refused, StoreFailed, Unreachable

_log = structlog.get_logger(__name__)

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
        most_tries: Give up after so many tries, or never (None).
    """

    first_seconds: float = 0.25
    longest_seconds: float = 15.0
    most_seconds: float | None = None
    most_tries: int | None = None


FOR_EVER = Patience()
"""Tries until it works or is cancelled."""

FOR_A_WHILE = Patience(most_seconds=30.0, most_tries=6)
"""For what only adds to an event: it is handled without, rather than never."""


async def persist(operation: Callable[[], Awaitable[T]], patience: Patience = FOR_EVER) -> T:
    """Do it until it works; only what is permanent, or the end of patience, is raised.

    Raises:
        MatrixError: What the last try raised.
    """
    async for attempt in stamina.retry_context(
        on=_Waits(patience), attempts=patience.most_tries, timeout=patience.most_seconds
    ):
        with attempt:
            return await operation()
    raise AssertionError("stamina's iterator ends by returning or raising")  # pragma: no cover


async def find_out(
    operation: Callable[[], Awaitable[T]],
    is_there: Callable[[], Awaitable[object]],
    unknown: T,
    patience: Patience = FOR_A_WHILE,
    *,
    room_id: RoomId,
) -> T:
    """Do it until it works, or until it fails again and again at a homeserver that is there.

    A homeserver that is away is waited for, however long. One that answers everything else will
    not answer this: then ``unknown`` is what is known.

    Args:
        operation: The request, which changes nothing.
        is_there: Another request, which any homeserver answers.
        unknown: What to go on with if it is not found out.
        patience: How long it is tried while the homeserver is there.
        room_id: The room that it is about, for the log.
    """
    while True:
        try:
            async with asyncio.timeout(patience.most_seconds):
                return await persist(operation, patience)
        except Refused as refused:
            problem: Exception = refused
            break
        except (Unreachable, RateLimited, StoreFailed, TimeoutError) as failed:
            problem = failed
        try:
            await is_there()
            break
        except (Refused, RateLimited):
            break
        except Unreachable:
            await persist(is_there)
    _log.warning(
        "something can't be found out, going on without",
        room_id=room_id,
        problem=str(problem) or "no answer in time",
    )
    return unknown


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
