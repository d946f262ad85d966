"""HTTP client for one Agent2Agent server that is not trusted.

The client limits the size of responses, and sends requests and the token only to allowed origins.
"""

from collections.abc import AsyncIterator, Collection, Generator
from datetime import UTC, datetime

import httpx

from ephemeral.agents.api import AgentFailed, FailureReason
from ephemeral.agents.transport import (
    UNPACKED,
    AnswerTooLong,
    Origin,
    is_packed,
    of_status,
    origin,
    tls_context,
)
from fsm.values.http import retry_after_seconds
from fsm.values.ids import AgentId

MOST_BYTES = 32_000_000
"""The maximum number of bytes of one response."""


def a_client(
    agent_id: AgentId,
    *,
    origins: Collection[Origin],
    token: str | None,
    timeout: httpx.Timeout,
) -> httpx.AsyncClient:
    """Create an HTTP client that sends requests only to the given origins.

    A request to another origin raises ``AgentFailed``, whether the agent card, a task or a redirect
    caused the request. A response that has an error status or is compressed also raises
    ``AgentFailed``, before its body is read. A response that is too long raises ``AnswerTooLong``.

    Args:
        agent_id: The agent that ``AgentFailed`` names.
        origins: The allowed origins.
        token: The bearer token of each request; None for no authentication.
        timeout: The timeouts of the client.
    """

    async def allow(request: httpx.Request) -> None:
        if origin(request.url) not in origins:
            problem = f"a request to {request.url.host!r}, which is no host of its own"
            raise AgentFailed(agent_id, problem, FailureReason.UNTRUSTED)

    async def accept(response: httpx.Response) -> None:
        if is_packed(response):
            raise AgentFailed(agent_id, "it sends a compressed answer", FailureReason.GARBLED)
        if response.is_success:
            return
        raise AgentFailed(
            agent_id,
            f"it answered {response.status_code}",
            of_status(response.status_code),
            retry_after_seconds(response.headers, datetime.now(UTC)),
        )

    limits = httpx.Limits(max_connections=None)
    return httpx.AsyncClient(
        timeout=timeout,
        headers=UNPACKED,
        auth=_Bearer(token) if token else None,
        transport=_Bounded(httpx.AsyncHTTPTransport(verify=tls_context(), limits=limits)),
        event_hooks={"request": [allow], "response": [accept]},
    )


class _Bearer(httpx.Auth):
    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


class _Bounded(httpx.AsyncBaseTransport):
    """Limits the number of bytes that are read from a response."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101  # it is an async one
        response.stream = _BoundedStream(response.stream)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _BoundedStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async for chunk in self._inner:
            read += len(chunk)
            if read > MOST_BYTES:
                raise AnswerTooLong
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()
