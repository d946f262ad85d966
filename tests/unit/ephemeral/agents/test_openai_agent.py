"""The chat-completions API, against a real server that misbehaves as it is told."""

import asyncio
import gzip
import ssl
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
import trustme
from aiohttp import web
from attrs import evolve

from ephemeral.agents.api import AgentFailed, AgentQuestion, Earlier, FailureReason
from ephemeral.agents.openai.agent import OpenAiAgent, OpenAiOptions
from fsm import AgentEntry
from fsm.values.ids import AgentId, EventId, PlatformChatId
from strandline.testing.processes import free_port
from tests.support.fakes.completions import DONE, Completions, chunk, refuses
from tests.support.fakes.platform import Script, answers, event, pours, says
from tests.support.limits import HANGS_SECONDS

QUESTION = AgentQuestion(
    request_id=EventId("$1"), platform_chat_id=PlatformChatId("42"), text="hello"
)
HELLO = says(chunk(role="assistant"), chunk("Hel"), chunk("lo!"), chunk(finish="stop"), DONE)
TOKEN = "sk-t0ken"
SILENCE_SECONDS = 2.0
"""What hangs is waited for so long; anything else takes a hundredth."""


def agent(url: str, **options: Any) -> OpenAiAgent:
    brief: dict[str, Any] = {"model": "m", "silence_seconds": SILENCE_SECONDS}
    shaped = OpenAiOptions(url=url, **brief | options)
    return OpenAiAgent(AgentEntry(id=AgentId("a"), name="A", kind="openai", options=shaped))


async def ask(
    url: str, question: AgentQuestion = QUESTION, **options: Any
) -> tuple[list[str], AgentFailed | None]:
    """The pieces that came, and how it failed if it did."""
    asked = agent(url, **options)
    await asked.open()
    pieces: list[str] = []
    try:
        async with aclosing(asked.ask(question)) as answer:
            async for piece in answer:
                pieces.append(piece)  # noqa: PERF401  # what came before a failure counts
    except AgentFailed as failure:
        return pieces, failure
    finally:
        await asked.close()
    return pieces, None


async def failed(script: Script, **options: Any) -> tuple[list[str], AgentFailed]:
    async with Completions(script) as server:
        pieces, failure = await ask(server.url, **options)
    assert failure is not None
    return pieces, failure


async def probed(models: Script) -> AgentFailed | None:
    async with Completions(HELLO, models=models) as server:
        asked = agent(server.url)
        try:
            await asked.probe()
        except AgentFailed as failure:
            return failure
        finally:
            await asked.close()
    return None


async def test_an_answer_comes_in_the_pieces_in_which_it_is_sent() -> None:
    async with Completions(HELLO) as server:
        assert await ask(server.url) == (["Hel", "lo!"], None)


async def test_a_request_has_what_the_config_says_and_no_more() -> None:
    options: dict[str, Any] = {
        "token": TOKEN,
        "model": "llama",
        "system": "Be brief.",
        "temperature": 0.5,
        "answer_tokens": 100,
        "headers": {"X-Team": "tides"},
        "extra": {"seed": 7},
    }
    async with Completions(HELLO) as server:
        await ask(server.url, **options)
        await ask(server.url)

    (headers, body), (bare_headers, bare_body) = server.asked
    assert headers["Idempotency-Key"] == bare_headers["Idempotency-Key"] == "$1"
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["X-Team"] == "tides"
    assert body == {
        "model": "llama",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hello"},
        ],
        "stream": True,
        "temperature": 0.5,
        "max_tokens": 100,
        "seed": 7,
    }
    assert bare_body == {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "stream": True,
    }


async def test_nothing_secret_is_taken_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "s3cret")
    async with Completions(HELLO) as server:
        assert await ask(server.url) == (["Hel", "lo!"], None)

    [(headers, _body)] = server.asked
    assert "Authorization" not in headers
    assert "s3cret" not in str(headers)


async def test_what_was_said_in_the_room_goes_along() -> None:
    async def earlier() -> AsyncIterator[Earlier]:
        yield Earlier(is_agents=True, text="High at six.")
        yield Earlier(is_agents=False, text="When is the tide high?")

    async with Completions(HELLO) as server:
        await ask(server.url, evolve(QUESTION, earlier=earlier))

    [(_headers, body)] = server.asked
    assert body["messages"] == [
        {"role": "user", "content": "When is the tide high?"},
        {"role": "assistant", "content": "High at six."},
        {"role": "user", "content": "hello"},
    ]


async def test_a_room_that_can_not_be_read_is_told_and_nothing_is_asked() -> None:
    async def earlier() -> AsyncIterator[Earlier]:
        yield Earlier(is_agents=True, text="High at six.")
        raise AgentFailed(AgentId("a"), "the homeserver is down", FailureReason.UNREACHABLE)

    async with Completions(HELLO) as server:
        _, failure = await ask(server.url, evolve(QUESTION, earlier=earlier))

    assert failure is not None
    assert failure.problem == "the homeserver is down"
    assert server.asked == []


async def test_events_may_be_cut_anywhere_and_have_what_no_one_needs() -> None:
    stream = b"".join(
        [
            b": PROCESSING\r\n\r\n",
            event({"choices": [], "prompt_filter_results": []}),
            chunk(role="assistant", content=""),
            chunk(reasoning_content="they greet me in German"),
            chunk("Grüße 🌊").replace(b"\n", b"\r\n"),
            event({"choices": None, "usage": {"total_tokens": 5}}),
            chunk(finish="stop"),
        ]
    )
    async with Completions(says(*(stream[i : i + 1] for i in range(len(stream))))) as server:
        assert await ask(server.url) == (["Grüße 🌊"], None)


@pytest.mark.parametrize(
    "ending",
    [
        [DONE],
        [chunk(finish="stop")],
        [chunk(finish="tool_calls"), DONE],
        [chunk(finish="eos"), b"\xff\n"],
        [DONE, *[b"x" * 65_536] * 300],
    ],
)
async def test_an_answer_is_whole_once_its_server_says_so(ending: list[bytes]) -> None:
    async with Completions(says(chunk("a"), *ending, then="hangs")) as server:
        assert await ask(server.url) == (["a"], None)


@pytest.mark.parametrize(
    ("script", "pieces", "expected"),
    [
        (says(chunk("a")), ["a"], FailureReason.CUT_OFF),
        (says(chunk("a"), b'data: {"cho', then="cuts"), ["a"], FailureReason.CUT_OFF),
        (says(chunk("a"), then="hangs"), ["a"], FailureReason.CUT_OFF),
        (says(chunk(role="assistant"), then="hangs"), [], FailureReason.SILENT),
        (says(then="hangs"), [], FailureReason.SILENT),
        (says(), [], FailureReason.CUT_OFF),
        (says(b"data: {nonsense\n\n"), [], FailureReason.GARBLED),
        (says(b"data: [1]\n\n"), [], FailureReason.GARBLED),
        (says(event({"choices": 5})), [], FailureReason.GARBLED),
        (says(event({"choices": [5]})), [], FailureReason.GARBLED),
        (says(event({"choices": [{"delta": [5]}]})), [], FailureReason.GARBLED),
        (says(chunk(content=5)), [], FailureReason.GARBLED),
        (says(event({"choices": [{"finish_reason": 5}]})), [], FailureReason.GARBLED),
        (says(b'data: {"choices": "\xff"}\n\n'), [], FailureReason.GARBLED),
        (says(b"<html>", kind="text/html"), [], FailureReason.GARBLED),
        (says(b"{}", kind="application/json"), [], FailureReason.GARBLED),
        (says(chunk("a"), chunk(finish="length"), DONE), ["a"], FailureReason.TOO_LONG),
        (says(chunk("a"), chunk(finish="content_filter")), ["a"], FailureReason.REJECTED),
        (
            says(chunk(refusal="I won't."), chunk(finish="length")),
            ["I won't."],
            FailureReason.TOO_LONG,
        ),
        (says(event({"error": {"message": "no", "code": 429}})), [], FailureReason.BUSY),
        (says(event({"error": {"message": "no", "code": "502"}})), [], FailureReason.UNREACHABLE),
        (says(event({"error": {"type": "invalid_request_error"}})), [], FailureReason.REJECTED),
        (says(chunk("a"), event({"error": "out of memory"})), ["a"], FailureReason.UNKNOWN),
        (says(event({"error": {"message": "no"}})), [], FailureReason.UNKNOWN),
        (answers(400), [], FailureReason.REJECTED),
        (refuses(400, {"code": "context_length_exceeded"}), [], FailureReason.REJECTED),
        (refuses(500, {"code": "context_length_exceeded"}), [], FailureReason.REJECTED),
        (answers(413), [], FailureReason.REJECTED),
        (answers(422), [], FailureReason.REJECTED),
        (answers(401), [], FailureReason.REFUSED),
        (answers(402), [], FailureReason.REFUSED),
        (answers(403), [], FailureReason.REFUSED),
        (refuses(404, {"message": "no such model"}), [], FailureReason.UNREACHABLE),
        (answers(429), [], FailureReason.BUSY),
        (refuses(429, {"code": "insufficient_quota"}), [], FailureReason.REFUSED),
        (answers(503), [], FailureReason.BUSY),
        (answers(529), [], FailureReason.BUSY),
        (answers(500), [], FailureReason.UNREACHABLE),
        (answers(502), [], FailureReason.UNREACHABLE),
        (answers(307, Location="http://127.0.0.1:1/v1"), [], FailureReason.UNREACHABLE),
    ],
)
async def test_what_goes_wrong_is_told_apart(
    script: Script, pieces: list[str], expected: FailureReason
) -> None:
    told, failure = await failed(script)

    assert (told, failure.reason) == (pieces, expected)


async def test_a_busy_server_says_when_to_come_back() -> None:
    _, failure = await failed(refuses(429, {"message": "slow\ndown"}, **{"Retry-After": "7"}))

    assert failure.retry_after_seconds == 7
    assert failure.problem == "it answered 429: slow down"


async def test_a_token_that_the_server_quotes_is_not_passed_on() -> None:
    quoting = {"message": f"Incorrect API key provided: {TOKEN}"}
    for script in (refuses(401, quoting), says(event({"error": quoting}))):
        _, failure = await failed(script, token=TOKEN)

        assert "Incorrect API key" in failure.problem
        assert TOKEN not in f"{failure!r} {failure}"
    assert TOKEN not in repr(OpenAiOptions(url="", model="", token=TOKEN, headers={"X": TOKEN}))


def _error_without_end() -> Script:
    async def script(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=500)
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65_536)

    return script


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (pours(b"x" * 65_536), FailureReason.TOO_LONG),
        (_error_without_end(), FailureReason.UNREACHABLE),
    ],
)
async def test_a_gigabyte_does_not_fill_the_memory(script: Script, expected: FailureReason) -> None:
    tracemalloc.start()
    try:
        _, failure = await failed(script)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert failure.reason is expected
    assert peak < 100_000_000


async def test_a_server_that_is_down_can_not_be_reached() -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"

    pieces, failure = await ask(url)

    assert pieces == []
    assert failure is not None
    assert failure.reason is FailureReason.UNREACHABLE
    asked = agent(url)
    with pytest.raises(AgentFailed) as caught:
        await asked.probe()
    await asked.close()
    assert caught.value.reason is FailureReason.UNREACHABLE


async def test_what_is_no_address_can_not_be_reached() -> None:
    _, failure = await ask("ftp://127.0.0.1/v1")

    assert failure is not None
    assert failure.reason is FailureReason.UNREACHABLE


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)

    async with Completions(HELLO, tls=tls) as server:
        _, failure = await ask(server.url)

    assert failure is not None
    assert failure.reason is FailureReason.UNTRUSTED
    assert server.asked == []


async def test_an_answer_that_is_no_longer_wanted_is_left_and_the_server_hears_of_it() -> None:
    left = asyncio.Event()

    async def script(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            while True:
                await response.write(chunk("x"))
                await asyncio.sleep(0.01)
        except OSError:
            left.set()
            raise

    async with Completions(script) as server:
        asked = agent(server.url)
        async with aclosing(asked.ask(QUESTION)) as answer:
            assert await anext(answer) == "x"
        async with asyncio.timeout(HANGS_SECONDS):
            await left.wait()
        await asked.close()


async def test_one_connection_serves_one_question_after_another() -> None:
    ports = set()

    async def script(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername")[1])
        return await HELLO(request)

    async with Completions(script) as server:
        asked = agent(server.url)
        for _ in range(3):
            assert [piece async for piece in asked.ask(QUESTION)] == ["Hel", "lo!"]
        await asked.close()

    assert len(ports) == 1


async def test_several_are_asked_at_once() -> None:
    async with Completions(HELLO) as server:
        asked = agent(server.url)

        async def answer() -> str:
            return "".join([piece async for piece in asked.ask(QUESTION)])

        assert await asyncio.gather(*(answer() for _ in range(20))) == ["Hello!"] * 20
        await asked.close()


@pytest.mark.parametrize("status", [200, 404, 405, 501])
async def test_a_server_that_answers_is_there(status: int) -> None:
    assert await probed(answers(status)) is None


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        (answers(401), FailureReason.REFUSED),
        (answers(500), FailureReason.UNREACHABLE),
        (answers(429, **{"Retry-After": "7"}), FailureReason.BUSY),
    ],
)
async def test_a_probe_says_why_a_server_can_not_be_used(
    models: Script, expected: FailureReason
) -> None:
    failure = await probed(models)

    assert failure is not None
    assert failure.reason is expected


async def test_a_probe_asks_for_nothing_that_costs_anything() -> None:
    async with Completions(HELLO, models=pours(b"x" * 65_536)) as server:
        asked = agent(server.url, token=TOKEN)
        await asked.probe()
        await asked.close()

    assert server.asked == []
    [headers] = server.probed
    assert headers["Authorization"] == f"Bearer {TOKEN}"


async def test_a_compressed_answer_is_not_unpacked() -> None:
    packed = gzip.compress(chunk("a" * 1_000_000))

    async def script(request: web.Request) -> web.StreamResponse:
        assert request.headers["Accept-Encoding"] == "identity"
        headers = {"Content-Type": "text/event-stream", "Content-Encoding": "gzip"}
        return web.Response(body=packed, headers=headers)

    pieces, failure = await failed(script)

    assert (pieces, failure.reason) == ([], FailureReason.GARBLED)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_takes_neither_question_nor_token_elsewhere(status: int) -> None:
    async with Completions(HELLO) as elsewhere:
        location = f"{elsewhere.url}/chat/completions"
        _, failure = await failed(answers(status, Location=location), token=TOKEN)

    assert failure.problem.startswith(f"it answered {status}")
    assert elsewhere.asked == []
