"""The meaning of HTTP error responses, shared by the clients of the homeserver and of agents.

The clients use two HTTP libraries, because nio needs aiohttp and the agents' SDKs need httpx. Both
clients classify failures with this module.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto

_CLIENT, _SERVER = 400, 500

MAX_DIGITS = 10
"""The number of digits that are read of a ``Retry-After`` in whole seconds; the rest is ignored."""


class HttpFailure(Enum):
    """The classes of failed HTTP requests, by what the caller can do about the failure."""

    UNAUTHORIZED = auto()
    """The credentials are not accepted, or their quota is used up."""

    UNREACHABLE = auto()
    """There is no working server at this URL, perhaps only temporarily."""

    BUSY = auto()
    """The server may accept the request later."""

    TOO_LARGE = auto()
    """The request is too large; a retry would fail in the same way."""

    REJECTED = auto()
    """The request is wrong in another way."""


_BY_STATUS = {
    401: HttpFailure.UNAUTHORIZED,
    402: HttpFailure.UNAUTHORIZED,
    403: HttpFailure.UNAUTHORIZED,
    404: HttpFailure.UNREACHABLE,  # no API under this address
    405: HttpFailure.UNREACHABLE,
    408: HttpFailure.UNREACHABLE,
    409: HttpFailure.BUSY,
    413: HttpFailure.TOO_LARGE,
    414: HttpFailure.TOO_LARGE,
    429: HttpFailure.BUSY,
    431: HttpFailure.TOO_LARGE,
    503: HttpFailure.BUSY,
    529: HttpFailure.BUSY,  # "overloaded", used by some servers
}


def failure_of_status(status: int) -> HttpFailure:
    """Classify a response whose status is an error."""
    is_fault = _CLIENT <= status < _SERVER
    return _BY_STATUS.get(status, HttpFailure.REJECTED if is_fault else HttpFailure.UNREACHABLE)


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return how long the server asks to wait before a retry.

    The headers read are ``Retry-After`` (RFC 9110) and OpenAI's ``retry-after-ms``.

    Args:
        headers: The headers of the response. Lookups in it must ignore upper and lower case.
        now: The current time, an aware ``datetime``.

    Returns:
        Seconds, 0.0 or more; None if there is no such header, or its value is not understood.
    """
    wait_ms = _number(headers.get("retry-after-ms"))
    if wait_ms is not None:
        return wait_ms / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    wait = _number(value)
    if wait is not None:
        return wait
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # a year, a day or an offset of many digits
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())


def _number(value: str | None) -> float | None:
    text = value or ""
    try:
        number = float(text[:MAX_DIGITS] if text.isdigit() else text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
