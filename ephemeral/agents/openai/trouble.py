"""What servers of the chat-completions API say when they will not answer, in our words."""

from typing import Any

from ephemeral.agents.api import Trouble
from ephemeral.agents.http_trouble import of_status

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
_CLIENT, _BEYOND = 400, 600


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
