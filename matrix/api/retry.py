"""Retries of requests to a homeserver that is away, busy or broken."""

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
"""A homeserver that limits the rate is left alone at least this long, whatever it says."""

REAL_TIMING = RetryTiming(sleep=asyncio.sleep, monotonic=time.monotonic, uniform=random.uniform)


async def retry_request(
    operation: Callable[[], Awaitable[T]],
    policy: RetryPolicy = HOMESERVER,
    timing: RetryTiming = REAL_TIMING,
) -> T:
    """Run the operation until it works; a permanent error, or the last one, is raised.

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
    """Run the read until it works, or until it keeps failing at a homeserver that is there.

    A homeserver that is away is waited for, however long. One that answers other requests and not
    this one will not answer it: then the result is ``default``.

    Args:
        operation: The request, which changes nothing.
        probe: Another request, which any homeserver answers.
        default: The result if the read keeps failing.
        policy: How long it is retried while the homeserver is there.
        room_id: The room that it is about, for the log.
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
        "a read failed, going on without it",
        room_id=room_id,
        problem=str(problem) or "no answer in time",
    )
    return default


def _retry_after(error: Exception) -> float | None:
    if isinstance(error, RateLimited):
        return max(error.retry_after_ms / 1000, MIN_RETRY_AFTER_SECONDS)
    return 0.0 if isinstance(error, Unreachable | StoreFailed) else None
