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
    """Run the operation until it succeeds, and return its result.

    Only ``RateLimited``, ``Unreachable`` and ``StoreFailed`` are retried.

    Args:
        operation: Makes the request and returns its result. Called again for each attempt.
        policy: How long to wait between attempts, and when to give up.
        timing: The functions for sleep, clock and random numbers.

    Raises:
        MatrixError: What the last attempt raised: an error that is not retried, or any error when
            the policy gives up.
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
    """Make a read request, and return ``default`` if it fails although the homeserver is up.

    A refused read is not retried. Any other failed read is retried as ``policy`` says. If it still
    fails, the probe is sent. If the homeserver responds to the probe, the result is ``default``. If
    the homeserver is unreachable, this waits without limit until it is back, and then reads again.

    Args:
        operation: Makes the request and returns its result. It must be a read, so that it can be
            repeated.
        probe: Makes another request, to check that the homeserver is up.
        default: The result if the read fails.
        policy: How often, and for how long, the read is retried before the probe is sent.
        room_id: The room that the log names.
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
