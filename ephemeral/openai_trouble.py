"""What servers of the chat-completions API say when they will not answer, in our words."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from ephemeral.agents import Trouble

_BY_STATUS = {
    401: Trouble.REFUSED,
    402: Trouble.REFUSED,
    403: Trouble.REFUSED,
    404: Trouble.UNREACHABLE,  # no such model, or no API under this address
    405: Trouble.UNREACHABLE,
    408: Trouble.UNREACHABLE,
    409: Trouble.BUSY,
    429: Trouble.BUSY,
    503: Trouble.BUSY,
    529: Trouble.BUSY,  # "overloaded", as some write it
}

_BY_CODE = {
    "content_filter": Trouble.REJECTED,
    "context_length_exceeded": Trouble.REJECTED,
    "exceed_context_size_error": Trouble.REJECTED,
    "insufficient_quota": Trouble.REFUSED,
    "invalid_api_key": Trouble.REFUSED,
    "invalid_request_error": Trouble.REJECTED,
    "overloaded_error": Trouble.BUSY,
    "rate_limit_exceeded": Trouble.BUSY,
    "server_error": Trouble.UNREACHABLE,
}
_CLIENT, _SERVER, _BEYOND = 400, 500, 600


def of_status(status: int) -> Trouble:
    """What an answer of this status, not 200, means."""
    is_fault = _CLIENT <= status < _SERVER
    return _BY_STATUS.get(status, Trouble.REJECTED if is_fault else Trouble.UNREACHABLE)


def of_error(error: Any, otherwise: Trouble) -> Trouble:
    """What an ``error`` object means, in a body or amid a stream.

    Its code tells more than a status: a used-up account answers 429 too.
    """
    if not isinstance(error, dict):
        return otherwise
    code = error.get("code")
    if isinstance(code, str) and code in _BY_CODE:
        return _BY_CODE[code]
    if otherwise is not Trouble.UNKNOWN:
        return otherwise
    if str(code).isdecimal() and _CLIENT <= int(str(code)) < _BEYOND:
        return of_status(int(str(code)))
    return _BY_CODE.get(str(error.get("type")), otherwise)


def message_of(error: Any) -> str:
    """What an error says of itself, in one line that a log can bear."""
    message = error.get("message") if isinstance(error, dict) else error
    return " ".join(str(message).split())[:300]


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """How long the server wants to be left alone, if it says so (RFC 9110, and OpenAI's own)."""
    wait = _number(headers.get("retry-after-ms"))
    if wait is not None:
        return wait / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    wait = _number(value)
    if wait is not None:
        return wait
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
