"""The small protocol, against a real server that misbehaves as it is told."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import pytest
import trustme
from aiohttp import web
from attrs import evolve

from ephemeral.agents.api import AgentFailed, AgentFile, AgentQuestion, FailureReason, MadeFile
from ephemeral.agents.http import HttpAgent, HttpOptions
from fsm import AgentEntry
from fsm.values.ids import AgentId, EventId, PlatformChatId
from strandline.testing.processes import free_port
from tests.support.fakes.platform import Platform, Script, answers, event, pours, says
from tests.support.limits import HANGS_SECONDS

QUESTION = AgentQuestion(
    request_id=EventId("$1"), platform_chat_id=PlatformChatId("42"), text="hello"
)
DONE = event({}, "done")
HERE = event({"name": "a.txt", "mimetype": "text/plain", "url": "/file"}, "file")


SILENCE_SECONDS = 2.0
"""What hangs is waited for so long; anything else takes a hundredth."""


async def content() -> AsyncIterator[bytes]:
    yield b"ab"
    yield b"c"


async def read(file: MadeFile) -> str:
    """All that is to be known of a file."""
    whole = b"".join([chunk async for chunk in file.chunks])
    return f"{file.name} {file.mimetype} {whole.decode()}"


def made(url: str, token: str | None = None) -> HttpAgent:
    options = HttpOptions(url=url, token=token, silence_seconds=SILENCE_SECONDS)
    return HttpAgent(AgentEntry(id=AgentId("a"), name="A", kind="http", options=options))


async def ask(
    url: str, question: AgentQuestion = QUESTION, *, token: str | None = None
) -> tuple[list[str], AgentFailed | None]:
    """The pieces that came, and how it failed if it did."""
    agent = made(url, token)
    await agent.open()
    pieces: list[str] = []
    try:
        async with aclosing(agent.ask(question)) as answer:
            async for piece in answer:
                text = piece if isinstance(piece, str) else await read(piece)
                pieces.append(text)  # what came before a failure counts
    except AgentFailed as failure:
        return pieces, failure
    finally:
        await agent.close()
    return pieces, None


async def reason(script: Script) -> tuple[list[str], FailureReason | None]:
    async with Platform(script) as platform:
        pieces, failure = await ask(platform.url)
    return pieces, failure.reason if failure else None


async def test_an_answer_comes_in_the_pieces_in_which_it_is_sent() -> None:
    async with Platform(says(event({"text": "Hel"}), event({"text": "lo!"}), DONE)) as platform:
        assert await ask(platform.url) == (["Hel", "lo!"], None)


async def test_a_question_says_whose_it_is() -> None:
    async with Platform(says(DONE)) as platform:
        await ask(platform.url, token="t0ken")  # noqa: S106

    [(headers, body)] = platform.asked
    assert headers["Idempotency-Key"] == "$1"
    assert headers["Authorization"] == "Bearer t0ken"
    assert body == {"request_id": "$1", "chat_id": "42", "text": "hello", "attachments": []}


async def test_files_go_with_a_question_piece_by_piece() -> None:
    odd = AgentFile(name='a"\r\nb.png', mimetype="image/png\r\nX: y", size_bytes=9, chunks=content)
    plain = AgentFile(name="день.txt", mimetype="text/plain", size_bytes=3, chunks=content)
    async with Platform(says(DONE)) as platform:
        await ask(platform.url, evolve(QUESTION, files=(odd, plain)))

    [(_, (body, files))] = platform.asked
    assert body["attachments"][1] == {
        "name": "день.txt",
        "mimetype": "text/plain",
        "size_bytes": 3,
    }
    assert files == [
        ("a%22%0D%0Ab.png", "application/octet-stream", b"abc"),
        ("день.txt", "text/plain", b"abc"),
    ]


async def test_a_file_of_an_answer_is_fetched_from_its_own_platform_alone() -> None:
    def with_file(url: str) -> Script:
        file = {"name": "a.txt", "mimetype": "text/plain", "url": url}
        return says(event({"text": "here"}), event(file, "file"), DONE)

    async with Platform(with_file("/file")) as platform:
        pieces, failure = await ask(platform.url, token="t0ken")  # noqa: S106
        assert pieces == ["here", "a.txt text/plain the file of Bearer t0ken"]
        assert failure is None
    for url in (
        "http://127.0.0.1:1/file",
        "//127.0.0.1:1/file",
        "file:///etc/passwd",
        "",
        "http://[",
    ):
        async with Platform(with_file(url)) as platform:
            pieces, failure = await ask(platform.url)
        assert pieces == ["here"]
        assert failure is not None
        assert failure.reason is FailureReason.GARBLED


async def test_events_may_be_cut_anywhere_and_have_other_fields() -> None:
    stream = b": hi\r\nid: 1\r\n" + event({"text": "Grüße 🌊"}).replace(b"\n", b"\r\n") + DONE
    bytewise = [stream[i : i + 1] for i in range(len(stream))]

    assert await reason(says(*bytewise)) == (["Grüße 🌊"], None)


@pytest.mark.parametrize(
    ("script", "pieces", "expected"),
    [
        (says(event({"text": "a"})), ["a"], FailureReason.CUT_OFF),
        (says(event({"text": "a"}), b"data: {", then="cuts"), ["a"], FailureReason.CUT_OFF),
        (says(event({"text": "a"}), then="hangs"), ["a"], FailureReason.CUT_OFF),
        (says(then="hangs"), [], FailureReason.SILENT),
        (says(b"data: {nonsense\n\n"), [], FailureReason.GARBLED),
        (says(b"data: [1]\n\n"), [], FailureReason.GARBLED),
        (says(event({"text": 5})), [], FailureReason.GARBLED),
        (says(b'data: {"text": "\xff"}\n\n'), [], FailureReason.GARBLED),
        (says(b"<html>", kind="text/html"), [], FailureReason.GARBLED),
        (says(event({"message": "out of tokens"}, "error")), [], FailureReason.UNKNOWN),
        (pours(b"x" * 65_536), [], FailureReason.TOO_LONG),
        (answers(400), [], FailureReason.REJECTED),
        (answers(413), [], FailureReason.REJECTED),
        (answers(401), [], FailureReason.REFUSED),
        (answers(403), [], FailureReason.REFUSED),
        (answers(429, **{"Retry-After": "7"}), [], FailureReason.BUSY),
        (answers(503), [], FailureReason.BUSY),
        (answers(500), [], FailureReason.UNREACHABLE),
    ],
)
async def test_what_goes_wrong_is_told_apart(
    script: Script, pieces: list[str], expected: FailureReason
) -> None:
    assert await reason(script) == (pieces, expected)


async def test_a_server_that_is_down_can_not_be_reached() -> None:
    pieces, failure = await ask(f"http://127.0.0.1:{free_port()}/ask")

    assert pieces == []
    assert failure is not None
    assert failure.reason is FailureReason.UNREACHABLE


def certified() -> ssl.SSLContext:
    """By an authority that nobody knows."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    return tls


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted() -> None:
    async with Platform(says(DONE), tls=certified()) as platform:
        _, failure = await ask(platform.url, token="t0ken")  # noqa: S106
        assert await probed(platform.url) is FailureReason.UNTRUSTED

    assert failure is not None
    assert failure.reason is FailureReason.UNTRUSTED
    assert platform.asked == []


async def probed(url: str) -> FailureReason | None:
    agent = made(url)
    try:
        await agent.probe()
    except AgentFailed as failure:
        return failure.reason
    finally:
        await agent.close()
    return None


async def test_whatever_answers_is_there_unless_it_says_that_it_is_broken() -> None:
    for status in (200, 302, 401, 404, 405, 501):
        async with Platform(answers(status)) as platform:
            assert await probed(platform.url) is None
    for status, expected in ((500, FailureReason.UNREACHABLE), (503, FailureReason.BUSY)):
        async with Platform(answers(status)) as platform:
            assert await probed(platform.url) is expected
    assert await probed(f"http://127.0.0.1:{free_port()}/ask") is FailureReason.UNREACHABLE


async def test_an_agent_says_how_long_it_wants_to_be_left_alone() -> None:
    async with Platform(answers(429, **{"Retry-After": "7"})) as platform:
        _, failure = await ask(platform.url)

    assert failure is not None
    assert failure.retry_after_seconds == 7


async def test_a_token_that_is_empty_is_none() -> None:
    async with Platform(says(DONE)) as platform:
        _, failure = await ask(platform.url, token="")

    assert failure is None
    [(headers, _)] = platform.asked
    assert "Authorization" not in headers


async def test_a_token_goes_to_no_other_address() -> None:
    async with Platform(says(DONE)) as other:
        to_other = answers(307, Location=other.url)
        async with Platform(to_other) as platform:
            _, failure = await ask(platform.url, token="t0ken")  # noqa: S106
            platform.script, platform.file = says(HERE, DONE), to_other
            _, of_file = await ask(platform.url, token="t0ken")  # noqa: S106

    assert failure is not None
    assert failure.reason is FailureReason.UNREACHABLE
    assert of_file is not None
    assert "t0ken" not in f"{failure!r} {of_file!r}"
    assert other.asked == []


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (answers(404), FailureReason.GARBLED),
        (answers(401), FailureReason.REFUSED),
        (answers(500), FailureReason.UNREACHABLE),
        (says(b"ab", then="cuts"), FailureReason.CUT_OFF),
        (says(b"ab", then="hangs"), FailureReason.CUT_OFF),
    ],
)
async def test_a_file_that_can_not_be_had_fails_the_answer(
    file: Script, expected: FailureReason
) -> None:
    async with Platform(says(event({"text": "a"}), HERE, DONE), file=file) as platform:
        pieces, failure = await ask(platform.url)

    assert pieces == ["a"]
    assert failure is not None
    assert failure.reason is expected


async def test_nothing_is_taken_compressed() -> None:
    """A thousand times as much could come out of it before it is counted."""

    async def bomb(request: web.Request) -> web.StreamResponse:
        assert request.headers["Accept-Encoding"] == "identity"
        body = gzip.compress(event({"text": "x" * 1_000_000}) + DONE)
        headers = {"Content-Type": "text/event-stream", "Content-Encoding": "gzip"}
        return web.Response(body=body, headers=headers)

    assert await reason(bomb) == ([], FailureReason.GARBLED)
    async with Platform(says(HERE, DONE), file=bomb) as platform:
        _, failure = await ask(platform.url)

    assert failure is not None
    assert failure.reason is FailureReason.GARBLED


def with_file(chunks: Callable[[], AsyncIterator[bytes]]) -> AgentQuestion:
    return evolve(QUESTION, files=(AgentFile(name="a", chunks=chunks),))


async def test_a_file_that_can_not_be_had_from_the_room_fails_the_question() -> None:
    async def lost() -> AsyncIterator[bytes]:
        yield b"ab"
        raise AgentFailed(AgentId("a"), "gone", FailureReason.FILE)

    async with Platform(says(DONE)) as platform:
        pieces, failure = await ask(platform.url, with_file(lost))

    assert pieces == []
    assert failure is not None
    assert failure.reason is FailureReason.FILE


async def test_what_a_platform_does_not_read_is_not_read_either() -> None:
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 65_536
            yield bytes(65_536)

    async with Platform(says(then="hangs"), reads=False) as platform:
        _, failure = await ask(platform.url, with_file(endless))

    assert failure is not None
    assert failure.reason is FailureReason.SILENT
    assert given < 20_000_000


async def test_an_answer_that_is_no_longer_wanted_is_left() -> None:
    async with Platform(pours(event({"text": "x"}))) as platform:
        agent = made(platform.url)
        async with aclosing(agent.ask(QUESTION)) as answer:
            assert await anext(answer) == "x"
        async with asyncio.timeout(HANGS_SECONDS):
            await platform.left.wait()
        await agent.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_takes_neither_question_nor_token_elsewhere(status: int) -> None:
    async with (
        Platform(says(DONE)) as elsewhere,
        Platform(answers(status, Location=elsewhere.url)) as platform,
    ):
        _, failure = await ask(platform.url, token="t0ken")  # noqa: S106

    assert failure is not None
    assert elsewhere.asked == []
