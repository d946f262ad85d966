"""HTTP for agents: origins, failures, server-sent events."""

import ssl
from collections.abc import AsyncIterator
from functools import cache

import httpx
from attrs import frozen

from ephemeral.agents.api import FailureReason
from fsm.values.http import HttpFailure, failure_of_status

_REASONS = {
    HttpFailure.UNAUTHORIZED: FailureReason.REFUSED,
    HttpFailure.UNREACHABLE: FailureReason.UNREACHABLE,
    HttpFailure.BUSY: FailureReason.BUSY,
    HttpFailure.TOO_LARGE: FailureReason.REJECTED,
    HttpFailure.REJECTED: FailureReason.REJECTED,
}


def of_status(status: int) -> FailureReason:
    """Return the reason for failure that a response's error status means."""
    return _REASONS[failure_of_status(status)]


UNPACKED = {"Accept-Encoding": "identity"}
"""Headers of every request: they ask for an uncompressed response.

A few bytes of a compressed response could expand to gigabytes.
"""


@cache
def tls_context() -> ssl.SSLContext:
    """Return the TLS settings for all agents' clients, with the trusted certificate authorities.

    The authorities are read once in a process: reading them blocks it for a tenth of a second.
    """
    return httpx.create_ssl_context()


def is_packed(response: httpx.Response) -> bool:
    """Return whether a response is compressed, although the request asked for no compression."""
    return response.headers.get("content-encoding", "identity").lower() not in ("", "identity")


def of_failure(error: BaseException, *, begun: bool) -> FailureReason:
    """Return the reason for failure that an exception of a request means.

    Args:
        error: An exception of ``httpx``, or one that has such an exception as its cause.
        begun: Whether a part of the answer has already arrived.
    """
    while not isinstance(error, httpx.HTTPError) and error.__cause__ is not None:
        error = error.__cause__
    match error:
        case httpx.ConnectError() if isinstance(_root(error), ssl.SSLError):
            return FailureReason.UNTRUSTED
        case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.PoolTimeout():
            return FailureReason.UNREACHABLE
        case httpx.TimeoutException():
            return FailureReason.CUT_OFF if begun else FailureReason.SILENT
        case UnicodeDecodeError() | httpx.DecodingError():
            return FailureReason.GARBLED
        case httpx.HTTPError():
            return FailureReason.CUT_OFF if begun else FailureReason.UNREACHABLE
        case _:
            return FailureReason.UNKNOWN


def _root(error: BaseException) -> BaseException:
    """Return the original exception: the last one in the chain of causes and contexts."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return error


Origin = tuple[str, str, int | None]
"""Scheme, host and port (RFC 6454)."""


def check_base(_options: object, _attribute: object, url: str) -> None:
    """Check that a base URL, to which paths are added, has no query and no fragment.

    This is a validator of an attrs field.

    Raises:
        ValueError: The URL has a query or a fragment.
    """
    if "?" in url or "#" in url:
        problem = "url: paths are added to it, so it can't have a query; give a token instead"
        raise ValueError(problem)


def origin(url: str | httpx.URL) -> Origin:
    """Return the origin of an absolute URL, with the default port of HTTP or HTTPS filled in.

    Raises:
        httpx.InvalidURL: ``url`` is not a valid URL.
    """
    parsed = httpx.URL(url)
    port = parsed.port or {"http": 80, "https": 443}.get(parsed.scheme)
    return parsed.scheme, parsed.host, port


@frozen
class ServerSent:
    """The type and data of one event in a server-sent event stream (WHATWG HTML).

    The fields ``id`` and ``retry`` are left out.
    """

    event: str
    data: str


class AnswerTooLong(Exception):
    """The answer is longer than the limit."""


async def server_sent(
    chunks: AsyncIterator[bytes], *, most_bytes: int
) -> AsyncIterator[ServerSent]:
    """Yield the events of a stream, each as soon as the blank line at its end has arrived.

    Args:
        chunks: The bytes of the stream.
        most_bytes: The maximum number of bytes of the whole stream.

    Raises:
        AnswerTooLong: The stream is longer than ``most_bytes``.
        UnicodeDecodeError: A line is not UTF-8.
    """
    event, data = "message", list[str]()
    async for line in _lines(chunks, most_bytes):
        if not line:
            if data:
                yield ServerSent(event, "\n".join(data))
            event, data = "message", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            event = value
        elif name == "data":
            data.append(value)


async def _lines(chunks: AsyncIterator[bytes], most_bytes: int) -> AsyncIterator[str]:
    rest, read = bytearray(), 0
    async for chunk in chunks:
        read += len(chunk)
        if read > most_bytes:
            raise AnswerTooLong
        *ends, begin = chunk.split(b"\n")
        for end in ends:
            rest += end
            line = rest.removesuffix(b"\r").decode()
            rest.clear()
            yield line
        rest += begin
