"""Retries of requests to a homeserver that is unreachable, busy or failing."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from fsm.values.ids import RoomId
from fsm.values.retry import HOMESERVER, HOMESERVER_LOOKUP, RetryPolicy, RetryTiming, retry
from matrix.api.errors import RateLimited, Refused, StoreFailed, Unreachable

_log = structlog.get_logger(__name__)

T = TypeVar("T")

MIN_RETRY_AFTER_SECONDS = 0.05
"""The minimum wait after a rate limit, whatever the homeserver asks for."""

TIMING = RetryTiming(sleep=asyncio.sleep, monotonic=time.monotonic, uniform=random.uniform)


async def retry_request(
    operation: Callable[[], Awaitable[T]],
    policy: RetryPolicy = HOMESERVER,
    timing: RetryTiming = TIMING,
) -> T:
    """Run the operation until it succeeds; raise a permanent error, or the last one.

    Raises:
        MatrixError: What the last attempt raised.
    """
    return await retry(operation, policy, _retry_after, timing)


async def read_or_default(
    operation: Callable[[], Awaitable[T]],
    probe: Callable[[], Awaitable[object]],
    default: T,
    policy: RetryPolicy = HOMESERVER_LOOKUP,
    *,
    room_id: RoomId,
) -> T:
    """Run the read until it succeeds, or until it keeps failing although the homeserver is up.

    It waits without limit for a homeserver that is unreachable. If the homeserver answers other
    requests but not this one, the result is ``default``.

    Args:
        operation: The request, which must be a read.
        probe: Another request, to check that the homeserver is up.
        default: The result if the read keeps failing.
        policy: How long it is retried while the homeserver is up.
        room_id: The room, for the log.
    """
    while True:
        try:
            async with asyncio.timeout(policy.max_seconds):
                return await retry_request(operation, policy)
        except Refused as refused:
            problem: Exception = refused
            break
        except (Unreachable, RateLimited, StoreFailed, TimeoutError) as failed:
            problem = failed
        try:
            await probe()
            break
        except (Refused, RateLimited):
            break
        except Unreachable:
            await retry_request(probe)
    _log.warning(
        "a read failed, the default is used",
        room_id=room_id,
        problem=str(problem) or "no answer in time",
    )
    return default


def _retry_after(error: Exception) -> float | None:
    if isinstance(error, RateLimited):
        return max(error.retry_after_ms / 1000, MIN_RETRY_AFTER_SECONDS)
    return 0.0 if isinstance(error, Unreachable | StoreFailed) else None
