"""HTTP requests to one homeserver: JSON bodies, timeouts, typed errors."""

import asyncio
import json
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from types import MappingProxyType
from typing import IO, Any
from urllib.parse import quote, urlencode

import aiohttp
import structlog

from fsm.values.http import HttpFailure, failure_of_status, retry_after_seconds
from fsm.values.retry import DOWNLOAD
from matrix.api import fields
from matrix.api.errors import MatrixError, RateLimited, Refused, TokenRevoked, Unreachable
from matrix.api.retry import retry_request

_log = structlog.get_logger(__name__)

Json = dict[str, Any]

Body = bytes | AsyncGenerator[bytes, None] | None

CHUNK_BYTES = 65_536
"""Bytes of one chunk of a file."""

TIMEOUT_SECONDS = 30.0
"""The default timeout of a request."""

MAX_RETRY_AFTER_MS = 300_000
"""Maximum wait before a retry, whatever the homeserver asks for."""

DEFAULT_RETRY_AFTER_MS = 1000
"""The wait before a retry if the homeserver does not say how long to wait."""

_RETRYABLE_ERRCODES = {
    *("M_RESOURCE_LIMIT_EXCEEDED", "M_USER_LOCKED", "M_USER_SUSPENDED", "M_LIMIT_EXCEEDED"),
    *("M_CONSENT_NOT_GIVEN",),
}
"""Error codes of 4xx responses after which a request is retried, because the homeserver's operator
can remove the cause."""


class HomeserverHttp:
    """Sends HTTP requests to one homeserver.

    Args:
        url: The homeserver's base URL.
        monotonic: Returns a monotonic clock's time in seconds, to log how long the homeserver was
            unreachable.

    Attributes:
        token: The access token; empty before the login.
        renew: Logs in again and returns the new access token. Called when the homeserver has
            revoked the token. None: ``TokenRevoked`` is raised instead.
    """

    def __init__(self, url: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.url = url.rstrip("/")
        self.token = ""
        self.renew: Callable[[], Awaitable[str]] | None = None
        self._monotonic = monotonic
        self._renewing = asyncio.Lock()
        self._unreachable_since: float | None = None
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=100),
            headers={"User-Agent": "strandline", "Content-Type": "application/json"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def request(  # noqa: PLR0913  # what a request may be
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        may_repeat: bool = True,
    ) -> Json:
        """Make one request and return the JSON object of its response.

        The request is not retried, with one exception: it is repeated once after the access token
        was revoked and renewed.

        Args:
            method: The HTTP method.
            path: The path below the homeserver's URL.
            query: The query parameters; None for no query.
            body: A JSON value, or None for no body.
            timeout_seconds: The timeout of each attempt.
            may_repeat: Whether to repeat the request at once after the token was renewed. If False,
                ``Unreachable`` is raised then. Use False to send an event: the homeserver may have
                dropped the event's transaction id with the old login.

        Raises:
            MatrixError: The request failed; the class says why.
        """
        url = self.url + path + ("?" + urlencode(query) if query else "")
        data = None if body is None else _encode(body)
        token = self.token
        try:
            return await self._request_once(method, url, data, timeout_seconds, token=token)
        except TokenRevoked:
            if self.renew is None:
                raise
            await self._renew_token(token, self.renew)
            if not may_repeat:
                raise Unreachable(self.url, "the session was renewed") from None
            return await self._request_once(method, url, data, timeout_seconds, token=self.token)

    async def download(
        self, path: str, *, read_timeout_seconds: float
    ) -> AsyncGenerator[bytes, None]:
        """Make a GET request and yield the body of its response in chunks.

        The request is retried until the response begins. Later failures are not retried.

        Args:
            path: The path below the homeserver's URL.
            read_timeout_seconds: The maximum wait for the next bytes.

        Raises:
            MatrixError: The download failed, or broke off.
        """
        async with AsyncExitStack() as stack:

            async def begin() -> aiohttp.ClientResponse:
                return await stack.enter_async_context(
                    self._open_download(path, read_timeout_seconds)
                )

            response = await retry_request(begin, DOWNLOAD)
            with self._translated_errors(read_timeout_seconds):
                async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                    yield chunk

    async def post_file(
        self, path: str, content: IO[bytes], *, mimetype: str, timeout_seconds: float
    ) -> Json:
        """POST a whole file and return the JSON object of the response. Not retried.

        Args:
            path: The path below the homeserver's URL.
            content: The file. It is sent from its beginning, wherever its position is.
            mimetype: The media type to send.
            timeout_seconds: The timeout of the request.

        Raises:
            MatrixError: The request failed; the class says why. ``Unreachable`` also means that the
                access token was revoked and has been renewed.
        """
        size = content.seek(0, os.SEEK_END)

        async def chunks() -> AsyncGenerator[bytes, None]:
            content.seek(0)
            while chunk := content.read(CHUNK_BYTES):
                yield chunk

        headers = {"Content-Type": mimetype, "Content-Length": str(size)}
        token = self.token
        try:
            return await self._request_once(
                "POST", self.url + path, chunks(), timeout_seconds, token=token, headers=headers
            )
        except TokenRevoked:
            if self.renew is None:
                raise
            await self._renew_token(token, self.renew)
            raise Unreachable(self.url, "the session was renewed") from None

    @asynccontextmanager
    async def _open_download(
        self, path: str, read_timeout_seconds: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        token = self.token
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=read_timeout_seconds)
        with self._translated_errors(read_timeout_seconds):
            async with self._client.get(
                self.url + path,
                headers={"Authorization": f"Bearer {token}"},
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                if response.status != 200:  # noqa: PLR2004
                    try:
                        _parse_answer(self.url, response, await response.content.read(CHUNK_BYTES))
                    except TokenRevoked:
                        if self.renew is None:
                            raise
                        await self._renew_token(token, self.renew)
                        raise Unreachable(self.url, "the session was renewed") from None
                    raise Unreachable(self.url, f"it answers {response.status} to a download")
                yield response

    @contextmanager
    def _translated_errors(self, seconds: float) -> Iterator[None]:
        """Raise the HTTP client's errors as ``Unreachable``; ``seconds`` is the timeout to name."""
        try:
            yield
        except TimeoutError as error:
            raise Unreachable(self.url, f"no answer within {seconds:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            problem = str(error) or type(error).__name__
            raise Unreachable(self.url, problem) from error

    async def log_in(self, path: str, body: object) -> Json:
        """Make a login request, without an access token, and return the response."""
        return await self._request_once(
            "POST", self.url + path, _encode(body), TIMEOUT_SECONDS, token=""
        )

    async def _renew_token(self, revoked: str, renew: Callable[[], Awaitable[str]]) -> None:
        async with self._renewing:
            if self.token == revoked:
                self.token = await renew()

    async def _request_once(  # noqa: PLR0913  # what a request may be
        self,
        method: str,
        url: str,
        data: Body,
        timeout_seconds: float,
        *,
        token: str,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Json:
        headers = {**headers, "Authorization": f"Bearer {token}"} if token else headers
        try:
            answer = await self._send_request(method, url, data, timeout_seconds, headers)
        except Unreachable as lost:
            self._log_lost(lost)
            raise
        except MatrixError:
            self._log_back()
            raise
        self._log_back()
        return answer

    async def _send_request(
        self,
        method: str,
        url: str,
        data: Body,
        timeout_seconds: float,
        headers: Mapping[str, str],
    ) -> Json:
        with self._translated_errors(timeout_seconds):
            async with self._client.request(
                method,
                url,
                data=data,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_seconds),
            ) as response:
                return _parse_answer(self.url, response, await response.read())

    def _log_lost(self, lost: Unreachable) -> None:
        if self._unreachable_since is None:
            self._unreachable_since = self._monotonic()
            _log.warning("homeserver lost, trying again until it is back", problem=lost.problem)

    def _log_back(self) -> None:
        if self._unreachable_since is not None:
            away = self._monotonic() - self._unreachable_since
            self._unreachable_since = None
            _log.info("homeserver is back", away_seconds=round(away, 1))


def endpoint(*parts: str, version: str = "v3") -> str:
    """The path of a client-server endpoint, each part percent-encoded.

    Raises:
        Refused: A part is a dot segment, which would name another endpoint (RFC 3986, 5.2.4).
    """
    if not {".", ".."}.isdisjoint(parts):
        raise Refused(400, "M_INVALID_PARAM", "no id and no event type is called . or ..")
    return f"/_matrix/client/{version}/" + "/".join(
        quote(part, safe="", errors="replace") for part in parts
    )


def _encode(body: object) -> bytes:
    return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()


def _parse_answer(url: str, response: aiohttp.ClientResponse, body: bytes) -> Json:
    """Return the JSON object of a successful response.

    Args:
        url: The homeserver's base URL, for errors.
        response: The status and headers of the response.
        body: The body of the response, or its first bytes.

    Raises:
        MatrixError: The status is not a success, or the body is no JSON object.
    """
    status = response.status
    answer = fields.decoded(body)
    if status < 300 and answer is not None:  # noqa: PLR2004
        return answer
    facts = answer or {}
    errcode = fields.text(facts, "errcode", max_chars=100) or ""
    message = fields.text(facts, "error", max_chars=500) or ""
    if status == 429:  # noqa: PLR2004
        raise RateLimited(_retry_after_ms(facts, response.headers))
    if errcode == "M_UNKNOWN_TOKEN":
        raise TokenRevoked(message)
    if _is_permanent(status, errcode):
        raise Refused(status, errcode or "M_TOO_LARGE", message)
    where = response.headers.get("Location")
    hint = f" to {where}" if where else ""
    # a truncated response to a login may contain an access token
    what = f"{len(body)} bytes that are no JSON" if status < 300 else _excerpt(body)  # noqa: PLR2004
    raise Unreachable(url, f"it answers {status}{hint} with {what}")


def _is_permanent(status: int, errcode: str) -> bool:
    """Return whether an error response means that a retry can't help.

    That is so if the request is too large, and for 4xx statuses with a Matrix error code that is
    not retryable. Without such a code, the response may come from a reverse proxy, which can answer
    404 in HTML for a while.

    Args:
        status: The HTTP status.
        errcode: The Matrix error code; empty if there is none.
    """
    if failure_of_status(status) is HttpFailure.TOO_LARGE:
        return True
    is_client_error = 400 <= status < 500  # noqa: PLR2004
    return is_client_error and bool(errcode) and errcode not in _RETRYABLE_ERRCODES


def _retry_after_ms(facts: Json, headers: Mapping[str, str]) -> int:
    """Return how many milliseconds to wait before a retry, at most ``MAX_RETRY_AFTER_MS``.

    Args:
        facts: The JSON body of the response. Its ``retry_after_ms`` is used first.
        headers: The headers of the response, with ``Retry-After``.
    """
    asked = facts.get("retry_after_ms")
    if isinstance(asked, int | float) and not isinstance(asked, bool) and asked >= 0:
        return int(min(asked, MAX_RETRY_AFTER_MS))
    seconds = retry_after_seconds(headers, datetime.now(UTC))
    if seconds is None:
        return DEFAULT_RETRY_AFTER_MS
    return int(min(seconds * 1000, MAX_RETRY_AFTER_MS))


def _excerpt(body: bytes) -> str:
    text = " ".join(body[:400].decode(errors="replace").split())
    return repr(text[:80]) if text else "nothing"
