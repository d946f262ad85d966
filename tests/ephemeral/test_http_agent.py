"""The small protocol, against a real server that misbehaves as it is told."""

import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
import trustme
from attrs import evolve

from ephemeral.agents import AgentFailed, AgentFile, AgentQuestion, MadeFile, Trouble
from ephemeral.http_agent import HttpAgent, HttpOptions
from fsm import AgentEntry
from fsm.ids import AgentId, EventId, PlatformChatId
from strandline.testing.processes import free_port
from tests.fakes.platform import Platform, Script, answers, event, pours, says

QUESTION = AgentQuestion(
    request_id=EventId("$1"), platform_chat_id=PlatformChatId("42"), text="hello"
)
DONE = event({}, "done")


async def content() -> AsyncIterator[bytes]:
    yield b"ab"
    yield b"c"


async def read(file: MadeFile) -> str:
    """All that is to be known of a file."""
    whole = b"".join([chunk async for chunk in file.chunks])
    return f"{file.name} {file.mimetype} {whole.decode()}"


async def ask(
    url: str, question: AgentQuestion = QUESTION, *, token: str | None = None
) -> tuple[list[str], AgentFailed | None]:
    """The pieces that came, and how it failed if it did."""
    options = HttpOptions(url=url, token=token, connect_seconds=1, silence_seconds=0.3)
    entry = AgentEntry(id=AgentId("a"), name="A", kind="http", options=options)
    agent = HttpAgent(entry)
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


async def trouble(script: Script) -> tuple[list[str], Trouble | None]:
    async with Platform(script) as platform:
        pieces, failure = await ask(platform.url)
    return pieces, failure.trouble if failure else None


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
        assert failure.trouble is Trouble.GARBLED


async def test_events_may_be_cut_anywhere_and_have_other_fields() -> None:
    stream = b": hi\r\nid: 1\r\n" + event({"text": "Grüße 🌊"}).replace(b"\n", b"\r\n") + DONE
    bytewise = [stream[i : i + 1] for i in range(len(stream))]

    assert await trouble(says(*bytewise)) == (["Grüße 🌊"], None)


@pytest.mark.parametrize(
    ("script", "pieces", "expected"),
    [
        (says(event({"text": "a"})), ["a"], Trouble.CUT_OFF),
        (says(event({"text": "a"}), b"data: {", then="cuts"), ["a"], Trouble.CUT_OFF),
        (says(event({"text": "a"}), then="hangs"), ["a"], Trouble.CUT_OFF),
        (says(then="hangs"), [], Trouble.SILENT),
        (says(b"data: {nonsense\n\n"), [], Trouble.GARBLED),
        (says(b"data: [1]\n\n"), [], Trouble.GARBLED),
        (says(event({"text": 5})), [], Trouble.GARBLED),
        (says(b'data: {"text": "\xff"}\n\n'), [], Trouble.GARBLED),
        (says(b"<html>", kind="text/html"), [], Trouble.GARBLED),
        (says(event({"message": "out of tokens"}, "error")), [], Trouble.UNKNOWN),
        (pours(b"x" * 65_536), [], Trouble.TOO_LONG),
        (answers(400), [], Trouble.REJECTED),
        (answers(413), [], Trouble.REJECTED),
        (answers(401), [], Trouble.REFUSED),
        (answers(403), [], Trouble.REFUSED),
        (answers(429, **{"Retry-After": "7"}), [], Trouble.BUSY),
        (answers(503), [], Trouble.BUSY),
        (answers(500), [], Trouble.UNREACHABLE),
    ],
)
async def test_what_goes_wrong_is_told_apart(
    script: Script, pieces: list[str], expected: Trouble
) -> None:
    assert await trouble(script) == (pieces, expected)


async def test_a_server_that_is_down_can_not_be_reached() -> None:
    pieces, failure = await ask(f"http://127.0.0.1:{free_port()}/ask")

    assert pieces == []
    assert failure is not None
    assert failure.trouble is Trouble.UNREACHABLE


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)

    async with Platform(says(DONE), tls=tls) as platform:
        _, failure = await ask(platform.url)

    assert failure is not None
    assert failure.trouble is Trouble.UNTRUSTED


async def test_an_answer_that_is_no_longer_wanted_is_left() -> None:
    async with Platform(pours(event({"text": "x"}))) as platform:
        options = HttpOptions(url=platform.url)
        agent = HttpAgent(AgentEntry(id=AgentId("a"), name="A", kind="http", options=options))
        async with aclosing(agent.ask(QUESTION)) as answer:
            assert await anext(answer) == "x"
        await agent.close()
