"""Agents that are reached by the OpenAI chat-completions API: Ollama, vLLM, LiteLLM and others.

Such servers store no conversations. So each request contains earlier messages, which the bot reads
from the room within a budget (``context.py``). The servers store no idempotency keys either, but a
gateway in front of them may. So each request has a key, and a question that is asked again after a
crash has the same key.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Self

import httpx
import openai
import orjson
from attrs import evolve, field, frozen

from ephemeral.agents.api import AgentFailed, AgentQuestion, FailureReason
from ephemeral.agents.openai.context import Budget, context
from ephemeral.agents.transport import (
    UNPACKED,
    AnswerTooLong,
    ServerSent,
    check_base,
    is_packed,
    of_failure,
    of_status,
    server_sent,
    tls_context,
)
from fsm import AgentEntry
from fsm.values.http import retry_after_seconds

MOST_BYTES = 16_000_000
"""The maximum number of bytes of an answer's stream. Each token needs about 300 bytes."""

MOST_ERROR_BYTES = 65_536
"""The maximum number of bytes that are read of an error response."""

SEE_OUT_SECONDS = 0.3
"""How long the bot waits for the server to end the stream after a complete answer."""

_NO_MODELS = (404, 405, 501)
"""The statuses with which a server responds to a probe if it can't list its models."""


@frozen(kw_only=True)
class OpenAiOptions:
    """The options of an OpenAI agent.

    Args:
        url: The base URL of the API; most end in ``/v1``.
        model: The model's name on the server.
        token: A bearer token; None for no authentication. The SDK's environment variables are not
            used.
        headers: Further headers of each request.
        extra: Further fields of each request's body.
        system: The system message; empty for none.
        temperature: The sampling temperature; None for the server's default.
        answer_tokens: The maximum number of tokens of an answer; None for the server's default.
        most_messages: The maximum number of earlier messages in a request.
        most_tokens: The maximum estimated number of tokens of a request.
        images: Whether the model accepts images.
        image_bytes: The maximum size of all images in a request together, in bytes.
        text_bytes: The maximum size of all text files in a request together, in bytes.
        connect_seconds: The maximum time to connect to the server.
        silence_seconds: The maximum time to wait for the next data from the server.
    """

    url: str = field(validator=check_base)
    model: str
    token: str | None = field(default=None, repr=False)
    headers: dict[str, str] = field(factory=dict, repr=False)
    extra: dict[str, Any] = field(factory=dict)
    system: str = ""
    temperature: float | None = None
    answer_tokens: int | None = None
    most_messages: int = 50
    most_tokens: int = 4_000
    images: bool = False
    image_bytes: int = 5_000_000
    text_bytes: int = 50_000
    connect_seconds: float = 10.0
    silence_seconds: float = 60.0


class OpenAiAgent:
    """A connection to one model on a server with the chat-completions API."""

    Options = OpenAiOptions

    def __init__(self, entry: AgentEntry) -> None:
        assert isinstance(entry.options, OpenAiOptions)  # noqa: S101  # the config has converted them
        self._id = entry.id
        self._options = entry.options
        self._client = _client(entry.options, self._accept)
        no_token: dict[str, Any] = {} if entry.options.token else {"Authorization": openai.omit}
        self._headers = no_token | entry.options.headers

    async def open(self) -> None:
        """Do nothing: connections are made when they are needed."""

    async def ask(self, question: AgentQuestion) -> AsyncGenerator[str, None]:
        """Send the question with its context to the model, and yield the answer piece by piece.

        Raises:
            AgentFailed: The agent failed, before or during the answer.
        """
        body = await self._body(question)
        headers = self._headers | {"Idempotency-Key": question.request_id}
        begun = False
        try:
            async with self._client.chat.completions.with_streaming_response.create(
                **body, extra_headers=headers, extra_body=self._options.extra
            ) as response:
                async for piece in self._pieces(response.headers, response.iter_bytes()):
                    begun = True
                    yield piece
        except openai.APIConnectionError as error:
            raise self._failure_without_response(error) from error
        except AnswerTooLong as error:
            raise self._failed(error, FailureReason.TOO_LONG) from error
        except (UnicodeDecodeError, httpx.HTTPError) as error:
            raise self._failed(error, of_failure(error, begun=begun)) from error

    async def probe(self) -> None:
        """Request the list of models, to check whether the server can be reached.

        The body of the response is not read. A server that can't list its models passes the check.

        Raises:
            AgentFailed: The server can't be reached, or responds with an error: for example, it
                rejects the token.
        """
        try:
            async with self._client.models.with_streaming_response.list(
                extra_headers=self._headers, timeout=self._options.connect_seconds
            ):
                pass
        except _ModelsNotListed:
            return  # it lists no models, but it is reachable
        except openai.APIConnectionError as error:
            if not isinstance(error.__cause__, _ModelsNotListed):
                raise self._failure_without_response(error) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _body(self, question: AgentQuestion) -> dict[str, Any]:
        options = self._options
        budget = Budget(
            messages=options.most_messages,
            tokens=options.most_tokens,
            image_bytes=options.image_bytes if options.images else 0,
            text_bytes=options.text_bytes,
        )
        body: dict[str, Any] = {
            "model": options.model,
            "messages": await context(question, budget, system=options.system),
            "stream": True,
        }
        if options.temperature is not None:
            body["temperature"] = options.temperature
        if options.answer_tokens is not None:
            body["max_tokens"] = options.answer_tokens
        return body

    async def _accept(self, response: httpx.Response) -> None:
        """Raise ``AgentFailed`` if a response is compressed or has a status other than 200.

        The HTTP client calls this method for each response before it reads the body. Of the body of
        an error, which may be large, only the start is read.
        """
        status = response.status_code
        if is_packed(response):
            raise AgentFailed(self._id, "it sends a compressed answer", FailureReason.GARBLED)
        if status == httpx.codes.OK:
            return
        error = await _error_of(response)
        problem = f"it answered {status}: {self._veiled(message_of(error))}"
        is_unlisted = response.request.method == "GET" and status in _NO_MODELS
        raise (_ModelsNotListed if is_unlisted else AgentFailed)(
            self._id,
            problem,
            of_error(error, of_status(status)),
            retry_after_seconds(response.headers, datetime.now(UTC)),
        )

    async def _pieces(
        self, headers: Mapping[str, str], stream: AsyncIterator[bytes]
    ) -> AsyncIterator[str]:
        kind = headers.get("content-type", "").partition(";")[0].strip()
        if kind != "text/event-stream":
            raise AgentFailed(self._id, f"it answered with {kind[:60]!r}", FailureReason.GARBLED)
        events = server_sent(stream, most_bytes=MOST_BYTES)
        async for event in events:
            if event.data.strip() == "[DONE]":
                await _see_out(events)
                return
            try:
                chunk = Chunk.of(orjson.loads(event.data))
            except (orjson.JSONDecodeError, NoChunk) as error:
                raise self._failed(error, FailureReason.GARBLED) from error
            if chunk.error is not None:
                problem = f"it says: {self._veiled(message_of(chunk.error))}"
                raise AgentFailed(self._id, problem, of_error(chunk.error, FailureReason.UNKNOWN))
            if chunk.text:
                yield chunk.text
            if chunk.finish is not None:
                await _see_out(events)
                self._finish(chunk.finish)
                return
        raise AgentFailed(
            self._id, "the stream ended without a finish_reason", FailureReason.CUT_OFF
        )

    def _finish(self, reason: str) -> None:
        if reason == "length":
            raise AgentFailed(self._id, "it reached its limit of tokens", FailureReason.TOO_LONG)
        if reason == "content_filter":
            raise AgentFailed(self._id, "its content filter objects", FailureReason.REJECTED)

    def _failure_without_response(self, error: openai.APIConnectionError) -> AgentFailed:
        """Return the failure to raise for a request without a usable response."""
        cause = error.__cause__ or error
        if isinstance(cause, AgentFailed):
            return evolve(cause)  # some versions of the client wrap what a hook raises
        return self._failed(cause, of_failure(cause, begun=False))

    def _failed(self, error: BaseException, reason: FailureReason) -> AgentFailed:
        return AgentFailed(self._id, f"{type(error).__name__}: {error}", reason)

    def _veiled(self, text: str) -> str:
        """Return the server's text with ``…`` in place of the token, which some servers quote."""
        token = self._options.token
        return text.replace(token, "…") if token else text


class _ModelsNotListed(AgentFailed):
    """Raised by a probe if the server can be reached, but can't list its models."""


def _client(
    options: OpenAiOptions, accept: Callable[[httpx.Response], Awaitable[None]]
) -> openai.AsyncOpenAI:
    http: Any = httpx.AsyncClient(
        timeout=httpx.Timeout(options.silence_seconds, connect=options.connect_seconds),
        limits=httpx.Limits(max_connections=None),
        headers=UNPACKED,
        verify=tls_context(),
        event_hooks={"response": [accept]},
    )
    client = openai.AsyncOpenAI(
        base_url=options.url,
        api_key=options.token or "none",  # otherwise the client reads one from the environment
        max_retries=0,
        http_client=http,
    )
    client.organization = client.project = None  # which also came from there
    return client


async def _see_out(events: AsyncIterator[ServerSent]) -> None:
    """Read the rest of a stream for a short time, so that its connection can be reused."""
    with suppress(TimeoutError, httpx.HTTPError, AnswerTooLong, UnicodeDecodeError):
        async with asyncio.timeout(SEE_OUT_SECONDS):
            async for _event in events:
                pass


async def _error_of(response: httpx.Response) -> Any:
    body = b""
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MOST_ERROR_BYTES:
                break
    except httpx.HTTPError:
        pass  # the status says enough
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body[:300].decode(errors="replace")
    return parsed.get("error", parsed) if isinstance(parsed, dict) else parsed


class NoChunk(Exception):
    """Raised for a JSON value in the stream that is not a chunk of a chat completion."""


@frozen
class Chunk:
    """One chunk of a streamed answer.

    Args:
        text: The next text of the answer, without the model's reasoning; empty if there is none.
        finish: The API's ``finish_reason`` if the answer ends with this chunk; else None.
        error: The API's error object if the chunk reports an error; else None.
    """

    text: str = ""
    finish: str | None = None
    error: object = None

    @classmethod
    def of(cls, data: Any) -> Self:
        """Return the chunk that a JSON value of the stream describes.

        Raises:
            NoChunk: The value is not a chunk of a chat completion.
        """
        fields = _object(data)
        if fields.get("error") is not None:
            return cls(error=fields["error"])
        choices = fields.get("choices") or []  # some servers send a chunk with usage only
        if not isinstance(choices, list):
            raise NoChunk("choices that are no list")
        if not choices:
            return cls()
        choice = _object(choices[0])
        delta = _object(choice.get("delta") or {})
        text = delta.get("content") or delta.get("refusal") or ""
        finish = choice.get("finish_reason")
        if not isinstance(text, str) or not isinstance(finish, str | None):
            raise NoChunk("a text that is none")
        return cls(text=text, finish=finish or None)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NoChunk("no object where one belongs")
    return value


_BY_CODE = {
    "content_filter": FailureReason.REJECTED,
    "context_length_exceeded": FailureReason.REJECTED,
    "exceed_context_size_error": FailureReason.REJECTED,
    "insufficient_quota": FailureReason.REFUSED,
    "invalid_api_key": FailureReason.REFUSED,
    "invalid_request_error": FailureReason.REJECTED,
    "overloaded_error": FailureReason.BUSY,
    "rate_limit_exceeded": FailureReason.BUSY,
    "server_error": FailureReason.UNREACHABLE,
}
_CLIENT, _BEYOND = 400, 600


def of_error(error: Any, otherwise: FailureReason) -> FailureReason:
    """Return the reason for the failure that an ``error`` object of the API describes.

    The object's code is more precise than the response's status: 429 also means that the account's
    quota is used up.

    Args:
        error: The object, from the body of a response or from a chunk of a stream.
        otherwise: The reason from the response's status, used if the object has no known code.
            ``FailureReason.UNKNOWN`` if the status says nothing.
    """
    if not isinstance(error, dict):
        return otherwise
    code = error.get("code")
    if isinstance(code, str) and code in _BY_CODE:
        return _BY_CODE[code]
    if otherwise is not FailureReason.UNKNOWN:
        return otherwise
    if str(code).isdecimal() and _CLIENT <= int(str(code)) < _BEYOND:
        return of_status(int(str(code)))
    return _BY_CODE.get(str(error.get("type")), otherwise)


def message_of(error: Any) -> str:
    """Return the message of a response's JSON field ``error``, as one line for the log."""
    message = error.get("message") if isinstance(error, dict) else error
    return " ".join(str(message).split())[:300]
