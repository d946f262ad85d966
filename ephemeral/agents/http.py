"""An agent on your own platform, reached by a small streaming protocol over HTTP.

The question is one POST request. The answer is a stream of server-sent events (WHATWG HTML,
"Server-sent events")::

    POST /ask                                   200 text/event-stream
    Authorization: Bearer …                     data: {"text": "Hel"}
    Idempotency-Key: $event                     data: {"text": "lo!"}
                                                event: done
    {"request_id": "$event",                    data: {}
     "chat_id": "42", "text": "hello"}

A question with files is sent as a multipart form (RFC 7578), streamed while the files are read. The
platform sends a file of the answer as the file's URL, which must have the same origin as the agent.

An answer without ``done`` is incomplete. ``event: error`` with ``{"message": "…"}`` ends the answer
as a failure. The same question always has the same request id. So a platform that stores the ids of
answered questions does the work once, however often the bot is killed and asks again.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

import httpx
import orjson
from attrs import field, frozen

from ephemeral.agents.api import AgentFailed, AgentPiece, AgentQuestion, FailureReason, MadeFile
from ephemeral.agents.transport import (
    UNPACKED,
    AnswerTooLong,
    is_packed,
    of_failure,
    of_status,
    origin,
    server_sent,
    tls_context,
)
from fsm import AgentEntry
from fsm.values.http import retry_after_seconds

MOST_BYTES = 4_000_000
"""The maximum number of bytes of an answer's stream. No answer that a person can read is longer."""

MOST_MESSAGE_CHARS = 300
"""The maximum length of an agent's error message in the log."""


@frozen(kw_only=True)
class HttpOptions:
    """The options of an HTTP agent.

    Args:
        url: The URL to which questions are posted.
        token: A bearer token; None for no authentication.
        connect_seconds: The maximum time to connect to the platform.
        silence_seconds: The maximum time to wait for the next data from the platform.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    connect_seconds: float = 10.0
    silence_seconds: float = 60.0


class HttpAgent:
    """A connection to one agent on your own platform."""

    Options = HttpOptions

    def __init__(self, entry: AgentEntry) -> None:
        assert isinstance(entry.options, HttpOptions)  # noqa: S101  # the config has converted them
        self._id = entry.id
        self._options = entry.options
        silence, connect = self._options.silence_seconds, self._options.connect_seconds
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(silence, connect=connect),
            limits=httpx.Limits(max_connections=None),
            headers=UNPACKED,
            verify=tls_context(),
        )

    async def open(self) -> None:
        """Do nothing: connections are made when they are needed."""

    async def ask(self, question: AgentQuestion) -> AsyncGenerator[AgentPiece, None]:
        """Send the question to the platform, and yield the answer piece by piece.

        Raises:
            AgentFailed: The agent failed, before or during the answer.
        """
        begun, body = False, RequestBody.of(question)
        try:
            async with self._client.stream(
                "POST",
                self._options.url,
                headers=self._headers(question) | body.headers,
                content=body.content(),
            ) as response:
                self._accept(response)
                async for piece in self._pieces(response):
                    begun = True
                    yield piece
        except AnswerTooLong as error:
            raise self._failed(error, FailureReason.TOO_LONG) from error
        except (UnicodeDecodeError, httpx.HTTPError) as error:
            raise self._failed(error, of_failure(error, begun=begun)) from error

    async def probe(self) -> None:
        """Send a HEAD request, to check whether the platform can be reached.

        Raises:
            AgentFailed: The platform can't be reached, or responds with a server error.
        """
        try:
            response = await self._client.head(self._options.url)
        except httpx.HTTPError as error:
            raise self._failed(error, of_failure(error, begun=False)) from error
        # A server without HEAD is reachable too.
        if response.is_server_error and response.status_code != httpx.codes.NOT_IMPLEMENTED:
            raise AgentFailed(
                self._id, f"it answered {response.status_code}", of_status(response.status_code)
            )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _accept(self, response: httpx.Response) -> None:
        status = response.status_code
        self._refuse_packed(response)
        if status == httpx.codes.OK:
            kind = response.headers.get("content-type", "").partition(";")[0].strip()
            if kind != "text/event-stream":
                raise AgentFailed(
                    self._id, f"it answered with {kind[:60]!r}", FailureReason.GARBLED
                )
            return
        raise AgentFailed(
            self._id,
            f"it answered {status}",
            of_status(status),
            retry_after_seconds(response.headers, datetime.now(UTC)),
        )

    async def _pieces(self, response: httpx.Response) -> AsyncIterator[AgentPiece]:
        async for event in server_sent(response.aiter_bytes(), most_bytes=MOST_BYTES):
            try:
                data: Any = orjson.loads(event.data or "{}")
            except orjson.JSONDecodeError as error:
                raise self._failed(error, FailureReason.GARBLED) from error
            if event.event == "done":
                return
            if not isinstance(data, dict):
                raise AgentFailed(
                    self._id, "an event that is no JSON object", FailureReason.GARBLED
                )
            if event.event == "error":
                message = str(data.get("message"))[:MOST_MESSAGE_CHARS]
                raise AgentFailed(self._id, f"it says: {message}", FailureReason.UNKNOWN)
            if event.event == "file":
                yield self._file(data)
                continue
            text = data.get("text", "")
            if not isinstance(text, str):
                raise AgentFailed(self._id, "a text that is none", FailureReason.GARBLED)
            if text:
                yield text
        raise AgentFailed(self._id, "the stream ended without done", FailureReason.CUT_OFF)

    def _file(self, data: dict[str, Any]) -> MadeFile:
        name, mimetype, url = (str(data.get(key) or "") for key in ("name", "mimetype", "url"))
        try:
            whole = httpx.URL(self._options.url).join(url)
            is_own = origin(whole) == origin(self._options.url)
        except httpx.InvalidURL:
            is_own = False
        if not url or not is_own:
            problem = f"a file at {url[:100]!r}, which is not its own address"
            raise AgentFailed(self._id, problem, FailureReason.GARBLED)
        return MadeFile(
            name=name or "file",
            mimetype=mimetype or "application/octet-stream",
            chunks=self._fetched(whole),
        )

    async def _fetched(self, url: httpx.URL) -> AsyncIterator[bytes]:
        try:
            async with self._client.stream("GET", url, headers=self._authorization()) as response:
                if response.status_code != httpx.codes.OK:
                    raise self._no_file(response.status_code)
                self._refuse_packed(response)
                async for chunk in response.aiter_bytes():
                    yield chunk
        except httpx.HTTPError as error:
            raise self._failed(error, of_failure(error, begun=True)) from error

    def _refuse_packed(self, response: httpx.Response) -> None:
        if is_packed(response):
            raise AgentFailed(self._id, "it sends a compressed answer", FailureReason.GARBLED)

    def _no_file(self, status: int) -> AgentFailed:
        reason = of_status(status)
        if httpx.codes.is_client_error(status) and reason not in {
            FailureReason.REFUSED,
            FailureReason.BUSY,
        }:
            reason = FailureReason.GARBLED  # the platform is up, but its file is missing
        return AgentFailed(self._id, f"it answered {status} for a file of its own", reason)

    def _headers(self, question: AgentQuestion) -> dict[str, str]:
        headers = {"Accept": "text/event-stream", "Idempotency-Key": question.request_id}
        return headers | self._authorization()

    def _authorization(self) -> dict[str, str]:
        token = self._options.token
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _failed(self, error: Exception, reason: FailureReason) -> AgentFailed:
        return AgentFailed(self._id, f"{type(error).__name__}: {error}", reason)


@frozen
class RequestBody:
    """The body of the request that sends a question. Files are streamed, never whole in memory.

    Args:
        question: The question.
        boundary: The boundary between the parts of a multipart form; empty for a question without
            files, which is sent as JSON.
    """

    question: AgentQuestion
    boundary: str

    @classmethod
    def of(cls, question: AgentQuestion) -> "RequestBody":
        """Return the body of the request that sends the question."""
        return cls(question, token_hex(16) if question.files else "")

    @property
    def headers(self) -> dict[str, str]:
        """The headers that describe the body."""
        form = f"multipart/form-data; boundary={self.boundary}"
        return {"Content-Type": form if self.boundary else "application/json"}

    async def content(self) -> AsyncGenerator[bytes, None]:
        """Yield the body in chunks: JSON, or a multipart form (RFC 7578) if there are files.

        Raises:
            AgentFailed: A file can't be downloaded.
        """
        if not self.boundary:
            yield self._json()
            return
        yield self._opening('name="question"', "application/json").removeprefix(b"\r\n")
        yield self._json()
        for file in self.question.files:
            name = file.name.translate(_ESCAPES)
            yield self._opening(f'name="file"; filename="{name}"', _plain(file.mimetype))
            async for chunk in file.chunks():
                yield chunk
        yield f"\r\n--{self.boundary}--\r\n".encode()

    def _opening(self, disposition: str, mimetype: str) -> bytes:
        return (
            f"\r\n--{self.boundary}\r\nContent-Disposition: form-data; {disposition}\r\n"
            f"Content-Type: {mimetype}\r\n\r\n"
        ).encode()

    def _json(self) -> bytes:
        question = self.question
        files = [
            {"name": file.name, "mimetype": file.mimetype, "size_bytes": file.size_bytes}
            for file in question.files
        ]
        return orjson.dumps(
            {
                "request_id": question.request_id,
                "chat_id": question.platform_chat_id,
                "text": question.text,
                "attachments": files,
            }
        )


# As browsers do (WHATWG HTML, "Multipart form data").
_ESCAPES = str.maketrans({"\n": "%0A", "\r": "%0D", '"': "%22"})


def _plain(mimetype: str) -> str:
    """Return the media type, or a generic one if it is empty or could begin another header."""
    is_plain = mimetype.isascii() and mimetype.isprintable()
    return mimetype if is_plain and mimetype else "application/octet-stream"
