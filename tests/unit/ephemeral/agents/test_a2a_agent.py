"""Agent2Agent servers: ones that the SDK's own server side makes, and ones that send odd bytes."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trustme
import uvicorn
from aiohttp import web
from attrs import define, evolve
from google.protobuf.json_format import MessageToDict

from ephemeral.agents.a2a.agent import A2aAgent, A2aOptions
from ephemeral.agents.api import AgentFailed, AgentFile, AgentQuestion, FailureReason, MadeFile
from fsm import AgentEntry
from fsm.values.ids import AgentId, EventId, PlatformChatId
from strandline.testing.processes import free_port
from tests.support.a2a_server import Harbourmaster, app, card
from tests.support.fakes.platform import Script, answers, event, pours, says

QUESTION = AgentQuestion(
    request_id=EventId("$q"), platform_chat_id=PlatformChatId("42"), text="hello"
)
SILENCE_SECONDS = 2.0
"""What hangs is waited for so long; anything else takes a hundredth."""
HEARD = "I have heard 1 things in 42, at last: hello"


@asynccontextmanager
async def serving(*, streaming: bool = True) -> AsyncIterator[Harbourmaster]:
    port = free_port()
    executor = Harbourmaster(f"http://127.0.0.1:{port}")
    config = uvicorn.Config(
        app(executor, streaming=streaming), host="127.0.0.1", port=port, log_level="error"
    )
    server = uvicorn.Server(config)
    task = asyncio.ensure_future(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield executor
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def an_agent(url: str, **options: Any) -> AsyncIterator[A2aAgent]:
    entry = AgentEntry(
        id=AgentId("a"), name="A", kind="a2a", options=A2aOptions(url=url, **options)
    )
    agent = A2aAgent(entry)
    await agent.open()
    try:
        yield agent
    finally:
        await agent.close()


@define
class Heard:
    """What came of a question."""

    text: str = ""
    files: tuple[tuple[str, str, bytes], ...] = ()
    reason: FailureReason | None = None


async def ask(agent: A2aAgent, text: str = "hello", **changes: Any) -> Heard:
    heard = Heard()
    try:
        async for piece in agent.ask(evolve(QUESTION, text=text, **changes)):
            if isinstance(piece, MadeFile):
                content = b"".join([chunk async for chunk in piece.chunks])
                heard.files += ((piece.name, piece.mimetype, content),)
            else:
                heard.text += piece
    except AgentFailed as failure:
        heard.reason = failure.reason
    return heard


@pytest.mark.parametrize("streaming", [True, False])
async def test_it_answers_under_the_chat_and_the_message_id_that_it_was_given(
    streaming: bool,  # noqa: FBT001
) -> None:
    async with serving(streaming=streaming) as server, an_agent(server.url) as agent:
        await agent.probe()

        assert await ask(agent) == Heard(HEARD)

        assert dict(server.worked) == {"$q": 1}
        assert dict(server.heard) == {"42": ["hello"]}


async def test_an_answer_comes_word_by_word() -> None:
    async with serving() as server, an_agent(server.url) as agent:
        pieces = [piece async for piece in agent.ask(QUESTION)]

        first, *others = HEARD.split(" ")
        assert pieces == [first, *(f" {word}" for word in others)]


async def test_an_answer_may_be_a_message_alone() -> None:
    async with serving() as server, an_agent(server.url) as agent:
        assert await ask(agent, "briefly") == Heard("Aye.")


async def test_a_task_that_asks_back_goes_on_with_the_answer_even_after_a_restart() -> None:
    async with serving() as server:
        async with an_agent(server.url) as agent:
            asked = await ask(agent, "which ship")
        async with an_agent(server.url) as agent:
            told = await ask(agent, "the Anna", request_id=EventId("$2"))
            then = await ask(agent, "thanks", request_id=EventId("$3"))

        assert asked == Heard("Which ship do you mean?")
        assert told == Heard("I have heard 2 things in 42, at last: the Anna")
        assert then == Heard("I have heard 3 things in 42, at last: thanks")


async def test_a_question_that_comes_again_after_a_restart_is_not_worked_on_twice() -> None:
    async with serving() as server:
        for text in ("hello", "hello"):
            async with an_agent(server.url) as agent:
                assert await ask(agent, text) == Heard(HEARD)
        async with an_agent(server.url) as agent:
            question = evolve(QUESTION, request_id=EventId("$2"), text="and now")
            async with aclosing(agent.ask(question)) as half:
                first = await anext(half)
                taken_up = await _of_another_life(server, "$2", "and now")

        assert first == "I"
        assert taken_up == Heard("I have heard 2 things in 42, at last: and now")

        assert dict(server.worked) == {"$q": 1, "$2": 1}


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_task_that_goes_on_does_not_say_again_what_it_said_before_it_asked(
    streaming: bool,  # noqa: FBT001
) -> None:
    async with serving(streaming=streaming) as server:
        async with an_agent(server.url) as agent:
            assert await ask(agent, "sound") == Heard("Four fathoms.\n\nFor which ship?")
            told = await ask(agent, "sound again", request_id=EventId("$2"))
        async with an_agent(server.url) as agent:
            then = await ask(agent, "the Anna", request_id=EventId("$3"))

    assert told == Heard("Four fathoms.\n\nFor which ship?")
    assert then == Heard("I have heard 3 things in 42, at last: the Anna")


def _task(state: str, *words: str) -> dict[str, Any]:
    asked = {"messageId": "$q", "role": "ROLE_USER", "parts": [{"text": "hello"}]}
    return {
        "id": "t",
        "contextId": "42",
        "status": {"state": f"TASK_STATE_{state}"},
        "history": [asked],
        "artifacts": [{"artifactId": "a", "parts": [{"text": word} for word in words]}],
    }


async def test_a_task_that_is_taken_up_tells_each_part_once_whatever_a_subscription_repeats() -> (
    None
):
    methods: list[str] = []
    looked_at = iter([_task("WORKING", "I", " have"), _task("COMPLETED", "I", " have", " heard")])

    async def script(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        methods.append(body["method"])
        match body["method"]:
            case "ListTasks":
                result: Any = {"tasks": [_task("WORKING", "I")]}
            case "SubscribeToTask":
                whole = {
                    "jsonrpc": "2.0",
                    "id": "1",
                    "result": {"task": _task("WORKING", "I", " have")},
                }
                return await says(event(whole), said(" have"), said(" heard"))(request)
            case "GetTask":
                result = next(looked_at)
        return web.json_response({"jsonrpc": "2.0", "id": body["id"], "result": result})

    async with scripted(script) as url, an_agent(url) as agent:
        assert await ask(agent) == Heard("I have heard")

    assert methods == ["ListTasks", "GetTask", "GetTask"]


async def _of_another_life(server: Harbourmaster, request_id: str, text: str) -> Heard:
    async with an_agent(server.url) as agent:
        return await ask(agent, text, request_id=EventId(request_id))


@pytest.mark.parametrize(
    ("text", "told", "reason"),
    [
        ("let me in", "Sign in at https://example.org/auth first.", None),
        ("fail", "The tide gauge is broken.", FailureReason.UNKNOWN),
        ("reject", "I do harbours only.", FailureReason.REJECTED),
    ],
)
async def test_other_ends_of_a_task_are_told(
    text: str, told: str, reason: FailureReason | None
) -> None:
    async with serving() as server, an_agent(server.url) as agent:
        assert await ask(agent, text) == Heard(told, reason=reason)


async def test_files_go_both_ways() -> None:
    async def content() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"c"

    small = AgentFile(name="a.txt", mimetype="text/plain", size_bytes=3, chunks=content)
    claimed = evolve(small, name="b.txt", size_bytes=10)
    liar = evolve(small, name="c.txt", size_bytes=1)
    async with serving() as server, an_agent(server.url, file_bytes=3) as agent:
        await ask(agent, files=(small, claimed))
        assert server.files == [("a.txt", "text/plain", 3)]
    async with serving() as server, an_agent(server.url, file_bytes=2) as agent:
        heard = await ask(agent, files=(liar,))
        assert server.files == []
        assert "'c.txt' (text/plain) is too large to be sent" in server.heard["42"][0]
        assert heard.reason is None
    async with serving() as server, an_agent(server.url, file_bytes=2) as agent:
        heard = await ask(agent, "chart")

    assert heard.text.strip() == "Here it is."
    assert heard.files == (
        ("chart.txt", "text/plain", b"depths"),
        ("tides.csv", "text/csv", b"high,low\n"),
    )


async def test_an_error_page_is_not_taken_for_a_file() -> None:
    async with serving() as server, an_agent(server.url) as agent:
        heard = await ask(agent, "lost")

    assert heard == Heard(reason=FailureReason.UNREACHABLE)


async def test_who_stops_listening_has_the_task_cancelled() -> None:
    async with serving() as server, an_agent(server.url) as agent:
        answer = agent.ask(evolve(QUESTION, text="slowly"))
        await anext(answer)

        await answer.aclose()

        assert server.cancelled == ["42"]


@asynccontextmanager
async def scripted(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server whose card is right, and that answers everything else as the script says."""
    port = free_port()
    url = f"http{'s' if tls else ''}://127.0.0.1:{port}"
    application = web.Application()
    application.router.add_get("/.well-known/agent-card.json", partial(_card, url))
    application.router.add_post("/rpc", script)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    try:
        yield url
    finally:
        await runner.cleanup()


async def _card(url: str, _request: web.Request) -> web.Response:
    return web.json_response(MessageToDict(card(url)))


async def reason(script: Script, **options: Any) -> tuple[str, FailureReason | None]:
    options = {"silence_seconds": SILENCE_SECONDS, **options}
    async with scripted(script) as url, an_agent(url, **options) as agent:
        heard = await ask(agent)
    return heard.text, heard.reason


def _error(code: int, of: str = "1") -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": of, "error": {"code": code, "message": "no"}}


def said(text: str) -> bytes:
    update = {
        "artifactUpdate": {
            "taskId": "t",
            "contextId": "42",
            "append": True,
            "artifact": {"artifactId": "a", "parts": [{"text": text}]},
        }
    }
    return event({"jsonrpc": "2.0", "id": "1", "result": update})


@pytest.mark.parametrize(
    ("script", "text", "expected"),
    [
        (answers(401), "", FailureReason.REFUSED),
        (answers(403), "", FailureReason.REFUSED),
        (answers(429), "", FailureReason.BUSY),
        (answers(500), "", FailureReason.UNREACHABLE),
        (answers(400), "", FailureReason.REJECTED),
        (says(then="hangs"), "", FailureReason.SILENT),
        (says(said("a"), then="hangs"), "a", FailureReason.CUT_OFF),
        (says(said("a"), b"data: {", then="cuts"), "a", FailureReason.CUT_OFF),
        (says(b"data: {nonsense\n\n"), "", FailureReason.GARBLED),
        (says(b"data: \xff\xfe\n\n"), "", FailureReason.GARBLED),
        (says(event([1])), "", FailureReason.GARBLED),
        (
            says(event({"jsonrpc": "2.0", "id": "1", "result": {"message": 7}})),
            "",
            FailureReason.GARBLED,
        ),
        (says(event(_error(-32005))), "", FailureReason.REJECTED),
        (says(event(_error(-32603))), "", FailureReason.UNKNOWN),
    ],
)
async def test_what_goes_wrong_is_told_apart(
    script: Script, text: str, expected: FailureReason
) -> None:
    assert await reason(_but_lists_nothing(script)) == (text, expected)


async def test_an_answer_without_end_ends() -> None:
    text, found = await reason(_but_lists_nothing(pours(b"x" * 65_536)))

    assert (text, found) == ("", FailureReason.TOO_LONG)


async def test_a_busy_agent_says_for_how_long() -> None:
    busy = answers(429, **{"Retry-After": "7"})
    async with scripted(busy) as url, an_agent(url) as agent:
        with pytest.raises(AgentFailed) as failed:
            await anext(agent.ask(QUESTION))

    assert failed.value.retry_after_seconds == 7


async def test_nobody_there_and_nobody_trusted() -> None:
    async with an_agent(f"http://127.0.0.1:{free_port()}") as agent:
        assert (await ask(agent)).reason is FailureReason.UNREACHABLE
        with pytest.raises(AgentFailed) as failed:
            await agent.probe()
        assert failed.value.reason is FailureReason.UNREACHABLE
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    async with scripted(answers(200), tls=tls) as url, an_agent(url) as agent:
        assert (await ask(agent)).reason is FailureReason.UNTRUSTED


Noted = list[tuple[str, str | None]]
"""The methods and paths of requests, and the ``Authorization`` of each."""


def noting(requests: Noted) -> Script:
    async def script(request: web.Request) -> web.Response:
        requests.append((f"{request.method} {request.path}", request.headers.get("Authorization")))
        return web.Response(status=500)

    return script


@asynccontextmanager
async def naming(elsewhere: str) -> AsyncIterator[str]:
    """A server whose card has questions sent to another one."""
    port = free_port()
    application = web.Application()
    application.router.add_get("/.well-known/agent-card.json", partial(_card, elsewhere))
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def test_the_token_goes_to_the_agent() -> None:
    noted: Noted = []

    async with scripted(noting(noted)) as url, an_agent(url, token="t0ken") as agent:  # noqa: S106
        await ask(agent)

    assert noted[0] == ("POST /rpc", "Bearer t0ken")


async def test_a_card_sends_no_question_to_an_origin_that_the_config_does_not_name() -> None:
    noted: Noted = []

    async with (
        scripted(noting(noted)) as elsewhere,
        naming(elsewhere) as url,
        an_agent(url, token="t0ken") as agent,  # noqa: S106
    ):
        heard = await ask(agent)
        with pytest.raises(AgentFailed) as probed:
            await agent.probe()

    assert (heard.text, heard.reason) == ("", FailureReason.UNTRUSTED)
    assert f"{elsewhere}/rpc" in str(probed.value)
    assert "name that host under options.hosts" in str(probed.value)
    assert noted == []


async def test_a_host_that_the_config_names_is_sent_questions_and_the_token() -> None:
    noted: Noted = []

    async with scripted(noting(noted)) as elsewhere, naming(elsewhere) as url:
        host = elsewhere.removeprefix("http://")
        async with an_agent(url, token="t0ken", hosts=(host,)) as agent:  # noqa: S106
            heard = await ask(agent)

    assert heard.reason is FailureReason.UNREACHABLE
    assert noted[0] == ("POST /rpc", "Bearer t0ken")


@pytest.mark.parametrize("host", ["", "https://a.example", "a/b", "a:99999", "u@a", "a b", "[::1"])
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="is no host"):
        A2aOptions(url="https://a.example", hosts=(host,))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_takes_neither_question_nor_token_elsewhere(status: int) -> None:
    noted: Noted = []

    async with scripted(noting(noted)) as elsewhere:
        redirects = answers(status, Location=f"{elsewhere}/rpc")
        async with scripted(redirects) as url, an_agent(url, token="t0ken") as agent:  # noqa: S106
            heard = await ask(agent)

    assert heard.reason is not None
    assert noted == []


def _but_lists_nothing(script: Script) -> Script:
    """A server that lists no tasks, as one may."""

    async def listing(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if body["method"] == "ListTasks":
            return web.json_response(_error(-32601, of=body["id"]))
        return await script(request)

    return listing


async def test_a_compressed_answer_is_not_unpacked() -> None:
    async def script(request: web.Request) -> web.StreamResponse:
        assert request.headers["Accept-Encoding"] == "identity"
        headers = {"Content-Type": "text/event-stream", "Content-Encoding": "gzip"}
        return web.Response(body=gzip.compress(said("a" * 1_000_000)), headers=headers)

    assert await reason(_but_lists_nothing(script)) == ("", FailureReason.GARBLED)
