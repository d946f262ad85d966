import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import pytest
from attrs import evolve

from ephemeral.agents.api import AgentFailed, AgentFile, AgentQuestion
from ephemeral.agents.echo import EchoAgent, EchoOptions
from ephemeral.agents.pool import AgentPool
from ephemeral.agents.stream import AnswerStream
from fsm import AgentEntry, Registry
from fsm.values.ids import AgentId, EventId, PlatformChatId, UserId
from tests.support.virtual_time import virtual_time

ALICE = UserId("@alice:x")
QUESTION = AgentQuestion(
    request_id=EventId("$1"), platform_chat_id=PlatformChatId("42"), text="hello"
)


def an_echo(options: EchoOptions | None = None) -> AgentEntry:
    return AgentEntry(id=AgentId("agent-1"), name="First", kind="echo", options=options)


async def nothing() -> AsyncIterator[bytes]:
    """A file without content."""
    for chunk in list[bytes]():
        yield chunk


async def pieces_of(agent: EchoAgent) -> list[str]:
    return [piece async for piece in agent.ask(QUESTION)]


async def test_the_echo_answers_with_its_id_the_platform_chat_and_the_text() -> None:
    assert await pieces_of(EchoAgent(an_echo())) == ["[agent-1 · chat 42] hello"]


async def test_the_echo_says_which_files_came_with_the_text() -> None:
    a = AgentFile(name="a.png", mimetype="image/png", size_bytes=12_000, chunks=nothing)
    b = AgentFile(name="b.pdf", mimetype="application/pdf", size_bytes=1_200_000, chunks=nothing)
    agent = EchoAgent(an_echo())

    one = [piece async for piece in agent.ask(evolve(QUESTION, files=(a,)))]
    two = [piece async for piece in agent.ask(evolve(QUESTION, files=(a, b)))]

    answer = "[agent-1 · chat 42] hello"
    assert one == [f"{answer}\n\n(1 file: a.png image/png 12 kB)"]
    assert two == [f"{answer}\n\n(2 files: a.png image/png 12 kB; b.pdf application/pdf 1.2 MB)"]


@pytest.mark.parametrize("chunks", [2, 3, 7, 100])
async def test_the_echo_answers_in_pieces_that_join_to_the_same_text(chunks: int) -> None:
    pieces = await pieces_of(EchoAgent(an_echo(EchoOptions(chunks=chunks))))

    assert "".join(pieces) == "[agent-1 · chat 42] hello"
    assert 1 < len(pieces) <= chunks


async def test_the_echo_in_no_pieces_is_one_piece() -> None:
    assert len(await pieces_of(EchoAgent(an_echo(EchoOptions(chunks=0))))) == 1


async def test_connections_open_an_agent_once_and_say_when_it_is_not_in_the_config() -> None:
    connections = AgentPool(Registry([an_echo()]), kinds={"echo": EchoAgent})

    for _ in range(2):
        answer = [p async for p in connections.ask(AgentId("agent-1"), QUESTION, ALICE)]
        assert answer == ["[agent-1 · chat 42] hello"]
    with pytest.raises(AgentFailed, match="the config has no such agent"):
        await anext(connections.ask(AgentId("agent-9"), QUESTION, ALICE))
    await connections.close()


class Broken:
    """An agent that breaks in the middle of an answer, and again when it is closed."""

    def __init__(self, entry: AgentEntry) -> None:
        self.entry = entry

    async def open(self) -> None: ...

    async def ask(self, question: AgentQuestion) -> AsyncGenerator[str, None]:
        yield question.text[:2]
        raise ConnectionResetError

    async def probe(self) -> None: ...

    async def close(self) -> None:
        raise ConnectionResetError


async def test_an_agent_that_raises_fails_as_an_agent_and_is_opened_anew() -> None:
    connections = AgentPool(Registry([an_echo()]), kinds={"echo": Broken})

    for _ in range(2):
        answer = connections.ask(AgentId("agent-1"), QUESTION, ALICE)
        assert await anext(answer) == "he"
        with pytest.raises(AgentFailed, match="ConnectionResetError"):
            await anext(answer)


async def _slowly(*pieces: str) -> AsyncIterator[str]:
    for piece in pieces:
        yield piece
        await asyncio.sleep(0.02)


@virtual_time
async def test_a_growing_answer_says_now_and_then_how_far_it_has_come() -> None:
    growing = AnswerStream(_slowly(*"abcdefgh"), interval_seconds=0.05)

    shown = [text async for text in growing.so_far()]

    assert growing.text == "abcdefgh"
    assert shown == ["ab", "abcde", "abcdefgh"]


@virtual_time
async def test_an_answer_that_is_complete_at_once_is_shown_once() -> None:
    growing = AnswerStream(_slowly("all"), interval_seconds=10)

    assert [text async for text in growing.so_far()] == []
    assert growing.text == "all"


async def test_what_an_agent_raises_comes_out_and_what_it_said_before_is_kept() -> None:
    broken = Broken(an_echo())
    growing = AnswerStream(broken.ask(QUESTION), interval_seconds=10)

    with pytest.raises(ConnectionResetError):
        [text async for text in growing.so_far()]
    assert growing.text == "he"


@virtual_time
async def test_leaving_a_growing_answer_stops_the_agent() -> None:
    stopped = asyncio.Event()

    async def endless() -> AsyncIterator[str]:
        try:
            while True:
                yield "x"
                await asyncio.sleep(0.01)
        finally:
            stopped.set()

    growing = AnswerStream(endless(), interval_seconds=0.01)
    async with aclosing(growing.so_far()) as texts:
        await anext(texts)

    await stopped.wait()


@virtual_time
async def test_only_the_wait_for_the_agent_is_limited_and_not_what_is_done_meanwhile() -> None:
    async def says_one_word() -> AsyncIterator[str]:
        yield "word"
        await asyncio.Event().wait()

    growing = AnswerStream(says_one_word(), interval_seconds=0.01, within_seconds=0.05)
    texts = growing.so_far()

    shown = await anext(texts)
    await asyncio.sleep(0.1)  # a slow commit, say
    with pytest.raises(TimeoutError):
        await anext(texts)

    assert (shown, growing.text) == ("word", "word")


async def test_an_agent_that_can_not_be_connected_to_is_one_that_failed() -> None:
    class Unconnectable(EchoAgent):
        async def open(self) -> None:
            raise OSError

    registry = Registry([an_echo()])
    connections = AgentPool(registry, kinds={"echo": Unconnectable})

    with pytest.raises(AgentFailed, match="OSError"):
        await anext(connections.ask(AgentId("agent-1"), QUESTION, ALICE))
