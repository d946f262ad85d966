import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import pytest
from attrs import evolve

from ephemeral.agents.api import AgentFailed, AgentFile, AgentQuestion
from ephemeral.agents.echo import EchoAgent, EchoOptions
from ephemeral.agents.pool import AgentPool
from ephemeral.agents.stream import AnswerStream, Placeholder
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


class Screen:
    """Shows what it is given, but for the first few times."""

    def __init__(self, *, refuses: int = 0) -> None:
        self.shown: list[str] = []
        self.refused: list[str] = []
        self._refuses = refuses

    async def show(self, text: str) -> bool:
        is_refused = len(self.refused) < self._refuses
        (self.refused if is_refused else self.shown).append(text)
        return not is_refused


@virtual_time
async def test_a_growing_answer_says_now_and_then_how_far_it_has_come() -> None:
    stream, screen = AnswerStream(_slowly(*"abcdefgh"), interval_seconds=0.05), Screen()

    await stream.show(screen.show)

    assert stream.text == "abcdefgh"
    assert screen.shown == ["ab", "abcde", "abcdefgh"]


@virtual_time
async def test_what_could_not_be_shown_is_shown_as_it_reads_an_interval_later() -> None:
    async def says_two_words() -> AsyncIterator[str]:
        yield "two"
        await asyncio.sleep(0.06)
        yield " words"
        await asyncio.sleep(1)

    stream, screen = AnswerStream(says_two_words(), interval_seconds=0.1), Screen(refuses=1)

    await stream.show(screen.show)

    assert (screen.refused, screen.shown) == (["two"], ["two words"])


@virtual_time
async def test_what_could_not_be_shown_is_tried_again_though_nothing_more_has_come() -> None:
    stream, screen = AnswerStream(_and_waits("word"), interval_seconds=0.1), Screen(refuses=2)

    await stream.show(screen.show)

    assert (screen.refused, screen.shown) == (["word", "word"], ["word"])


@virtual_time
async def test_the_time_in_the_queue_does_not_count_and_its_position_is_shown_at_once() -> None:
    async def queues() -> AsyncIterator[str | Placeholder]:
        for position in range(3):
            yield Placeholder(f"number {3 - position}")
            await asyncio.sleep(0.04)
        yield "word"

    stream = AnswerStream(queues(), interval_seconds=10, timeout_seconds=0.05)
    screen = Screen()

    await stream.show(screen.show)

    assert screen.shown == ["number 3", "number 2", "number 1"]
    assert stream.text == "word"


async def _and_waits(piece: str) -> AsyncIterator[str]:
    yield piece
    await asyncio.sleep(1)


@virtual_time
async def test_an_answer_that_is_complete_at_once_is_shown_once() -> None:
    stream, screen = AnswerStream(_slowly("all"), interval_seconds=10), Screen()

    await stream.show(screen.show)

    assert (screen.shown, stream.text) == ([], "all")


async def test_what_an_agent_raises_comes_out_and_what_it_said_before_is_kept() -> None:
    broken = Broken(an_echo())
    stream = AnswerStream(broken.ask(QUESTION), interval_seconds=10)

    with pytest.raises(ConnectionResetError):
        await stream.show(Screen().show)
    assert stream.text == "he"


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

    async def leave(text: str) -> bool:
        raise InterruptedError(text)

    with pytest.raises(InterruptedError):
        await AnswerStream(endless(), interval_seconds=0.01).show(leave)

    await stopped.wait()


@virtual_time
async def test_only_the_wait_for_the_agent_is_limited_and_not_what_is_done_meanwhile() -> None:
    async def says_one_word() -> AsyncIterator[str]:
        yield "word"
        await asyncio.Event().wait()

    stream, shown = AnswerStream(says_one_word(), interval_seconds=0.01, timeout_seconds=0.05), ""

    async def show_slowly(text: str) -> bool:
        nonlocal shown
        await asyncio.sleep(0.1)  # a slow commit, say
        shown = text
        return True

    with pytest.raises(TimeoutError):
        await stream.show(show_slowly)

    assert (shown, stream.text) == ("word", "word")


async def test_an_agent_that_can_not_be_connected_to_is_one_that_failed() -> None:
    class Unconnectable(EchoAgent):
        async def open(self) -> None:
            raise OSError

    registry = Registry([an_echo()])
    connections = AgentPool(registry, kinds={"echo": Unconnectable})

    with pytest.raises(AgentFailed, match="OSError"):
        await anext(connections.ask(AgentId("agent-1"), QUESTION, ALICE))
