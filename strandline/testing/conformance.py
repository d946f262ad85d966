"""The agent conformance tests, which the author of an agent kind runs on that kind."""

import asyncio
import gc
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import has

from ephemeral.agents.api import (
    AgentApi,
    AgentFailed,
    AgentFile,
    AgentKind,
    AgentQuestion,
    FailureReason,
    MadeFile,
)
from ephemeral.agents.stream import CLOSE_TIMEOUT_SECONDS
from fsm import AgentEntry
from fsm.values.ids import AgentId, EventId, PlatformChatId
from strandline.config.structuring import shaped

LONG_TEXT_BYTES = 100_000

LEFT_OPEN_SECONDS = 10.0
"""Tasks and sockets that still exist this long after an agent's ``close`` count as left open."""


class AgentConformance:
    """Base class of the conformance tests. Subclass it, and pytest tests your agent kind.

    ::

        class TestShouting(AgentConformance):
            kind = ShoutingAgent

    The tests need no homeserver and no async plugin. Each test has an event loop of its own. If
    your agent needs a server, start the server in another process or thread, in a fixture, and let
    ``options`` request that fixture.

    Attributes:
        kind: The agent class to test.
        answer_seconds: The maximum time of one test: to open the agent, get its answers and close
            it.
        close_seconds: The maximum time to close an unfinished answer. The default is how long the
            bot waits.
        unreachable_seconds: The maximum time until an unreachable agent fails.
    """

    kind: ClassVar[AgentKind]
    answer_seconds: ClassVar[float] = 60.0
    close_seconds: ClassVar[float] = CLOSE_TIMEOUT_SECONDS
    unreachable_seconds: ClassVar[float] = 15.0

    @pytest.fixture
    def options(self) -> Mapping[str, Any]:
        """The agent's ``options``, as in the config. Override it if your kind needs options."""
        return {}

    @pytest.fixture
    def unreachable(self) -> Mapping[str, Any]:
        """The ``options`` of an agent that can't be reached. Override it if yours uses a network.

        Unless it is overridden, the test with an unreachable agent is skipped.
        """
        pytest.skip("no options are given with which it can't be reached: override `unreachable`")

    def test_options_are_an_attrs_class_that_the_config_fills(
        self, options: Mapping[str, Any]
    ) -> None:
        """``Options`` is an attrs class, and ``options`` can be converted to it without errors."""
        _entry(self.kind, options)

    def test_making_one_does_not_connect(self, options: Mapping[str, Any]) -> None:
        """The agent's constructor opens no socket: only ``open`` may connect."""
        entry = _entry(self.kind, options)

        async def make() -> None:
            before = _sockets()
            agent = self.kind(entry)
            if _sockets() - before:
                pytest.fail("the constructor opened a socket; connect in `open`")
            await agent.close()

        asyncio.run(make())

    def test_a_question_is_answered(self, options: Mapping[str, Any]) -> None:
        """A plain question gets some text. All pieces of the answer are ``str`` or ``MadeFile``."""
        text = self._run(options, lambda agent: self._text(agent, "$1", "Hello, who are you?"))
        if not text.strip():
            pytest.fail("a plain question got no text; yield some, or raise AgentFailed")

    def test_several_questions_are_answered_at_once(self, options: Mapping[str, Any]) -> None:
        """Eight questions from different chats, asked at the same time, each get some text.

        The bot asks the questions of all rooms through one agent object.
        """

        async def ask(agent: AgentApi) -> list[str]:
            asked = (self._text(agent, f"${n}", f"hello {n}", chat=str(n)) for n in range(8))
            return await asyncio.gather(*asked)

        if not all(text.strip() for text in self._run(options, ask)):
            pytest.fail("of eight questions at once some got no text; keep no state between them")

    def test_the_same_question_may_come_again(self, options: Mapping[str, Any]) -> None:
        """A question that is asked again with the same ``request_id`` gets some text again.

        The bot asks a question again after a crash.
        """

        async def ask(agent: AgentApi) -> str:
            await self._text(agent, "$again", "hello")
            return await self._text(agent, "$again", "hello")

        if not self._run(options, ask).strip():
            pytest.fail("a request_id that came twice got no text; answer it again")

    def test_an_answer_may_be_left_before_its_end(self, options: Mapping[str, Any]) -> None:
        """An unfinished answer can be closed within ``close_seconds``, and leaves no work behind.

        When a person stops an answer, the bot closes the generator that ``ask`` returned.
        """

        async def leave(agent: AgentApi) -> float:
            answer = agent.ask(_question("$left", "Count to one thousand."))
            await anext(answer, None)
            begun = time.monotonic()
            await answer.aclose()
            return time.monotonic() - begun

        if (took := self._run(options, leave)) > self.close_seconds:
            pytest.fail(f"closing an answer took {took:.1f} s; let cancellation through")

    def test_a_file_may_be_sent(self, options: Mapping[str, Any]) -> None:
        """A question with a file is answered, or refused with AgentFailed."""

        async def content() -> AsyncGenerator[bytes, None]:
            yield b"a,b\n1,2\n"

        file = AgentFile(name="a.csv", mimetype="text/csv", size_bytes=8, chunks=content)
        self._run(options, lambda agent: self._survives(agent, _question("$f", "Look.", file)))

    @pytest.mark.parametrize(
        "text",
        ["", " ", "🌊👩\u200d👩\u200d👧", "שלום עולם", "a\0b", "x" * LONG_TEXT_BYTES],
        ids=["empty", "blank", "emoji", "right to left", "NUL", "long"],
    )
    def test_odd_text_is_survived(self, options: Mapping[str, Any], text: str) -> None:
        """Unusual text is answered, or refused with AgentFailed.

        After that, a plain question gets some text.
        """

        async def ask(agent: AgentApi) -> str:
            await self._survives(agent, _question("$odd", text))
            return await self._text(agent, "$even", "hello")

        if not self._run(options, ask).strip():
            pytest.fail("after an odd question a plain one got no text")

    def test_it_can_be_probed(self, options: Mapping[str, Any]) -> None:
        """``probe`` raises nothing if the agent can be reached."""
        self._run(options, lambda agent: agent.probe())

    def test_it_can_be_closed_twice(self, options: Mapping[str, Any]) -> None:
        """A second call of ``close`` raises nothing."""
        self._run(options, lambda agent: agent.close())

    def test_one_that_is_not_there_fails_in_time(self, unreachable: Mapping[str, Any]) -> None:
        """An unreachable agent raises AgentFailed in time, with a reason other than ``UNKNOWN``.

        Two agents with the same options are tried, one after the other.
        """
        entry = _entry(self.kind, unreachable)

        async def ask() -> None:
            for again in ("", " when it was asked again"):
                agent = self.kind(entry)
                try:
                    async with asyncio.timeout(self.unreachable_seconds), _nothing_left(agent):
                        await agent.open()
                        await _joined(agent, _question("$u", "hello"))
                except AgentFailed as failure:
                    if failure.reason is FailureReason.UNKNOWN:
                        pytest.fail("AgentFailed without a reason; use FailureReason.UNREACHABLE")
                except TimeoutError:
                    pytest.fail(f"it did not fail in {self.unreachable_seconds} s{again}")
                except Exception as error:  # noqa: BLE001  # whatever a third party's code raises
                    pytest.fail(f"it raised {error!r}{again}; raise AgentFailed from it")
                else:
                    pytest.fail(f"nobody is there, and yet it answered{again}")

        asyncio.run(ask())

    def _run(self, options: Mapping[str, Any], use: Callable[[AgentApi], Awaitable[Any]]) -> Any:
        """Run ``use`` with an open agent, close the agent, and check that it has left nothing open.

        Args:
            options: The agent's options.
            use: Called with the agent; its result is returned.
        """
        entry = _entry(self.kind, options)

        async def run() -> Any:
            agent = self.kind(entry)
            async with asyncio.timeout(self.answer_seconds), _nothing_left(agent):
                await agent.open()
                return await use(agent)

        return asyncio.run(run())

    async def _text(self, agent: AgentApi, request_id: str, text: str, chat: str = "1") -> str:
        return await _joined(agent, _question(request_id, text, chat=chat))

    async def _survives(self, agent: AgentApi, question: AgentQuestion) -> None:
        try:
            await _joined(agent, question)
        except AgentFailed:
            return  # it says that it can't take this
        except Exception as error:  # noqa: BLE001  # whatever a third party's code raises
            pytest.fail(f"it raised {error!r}; answer, or raise AgentFailed from it")


def _entry(kind: AgentKind, options: Mapping[str, Any]) -> AgentEntry:
    if not has(kind.Options):
        pytest.fail("Options is no attrs class; write @attrs.frozen above it")
    problems: list[Any] = []
    made = shaped(dict(options), kind.Options, problems, ("options",))
    if problems:
        pytest.fail(f"the config would refuse these options: {problems}")
    return AgentEntry(id=AgentId("tried"), name="Tried", kind="tried", options=made)


def _question(request_id: str, text: str, *files: AgentFile, chat: str = "1") -> AgentQuestion:
    return AgentQuestion(
        request_id=EventId(request_id),
        platform_chat_id=PlatformChatId(chat),
        text=text,
        files=files,
    )


async def _joined(agent: AgentApi, question: AgentQuestion) -> str:
    """Ask the question, and return all texts of the answer joined.

    Files of the answer are read to their end and discarded.
    """
    texts: list[str] = []
    async with aclosing(agent.ask(question)) as answer:
        async for piece in answer:
            if isinstance(piece, MadeFile):
                async for _ in piece.chunks:
                    pass
            elif isinstance(piece, str):
                texts.append(piece)
            else:
                pytest.fail(f"a piece of the answer is {piece!r}; yield str or MadeFile")
    return "".join(texts)


@asynccontextmanager
async def _nothing_left(agent: AgentApi) -> AsyncGenerator[None, None]:
    """Close the agent after the body, and fail the test if the agent leaves a task or a socket."""
    tasks, sockets = asyncio.all_tasks(), _sockets()
    try:
        yield
    finally:
        await agent.close()
    until = time.monotonic() + LEFT_OPEN_SECONDS
    while True:
        gc.collect()
        left = [task.get_name() for task in asyncio.all_tasks() - tasks]
        left += sorted(_sockets() - sockets)
        if not left:
            return
        if time.monotonic() > until:
            pytest.fail(f"after close() there still is {left}; end tasks, close connections")
        await asyncio.sleep(0.02)


def _sockets() -> set[str]:
    """The open sockets of this process; empty on systems that do not list them in ``/proc``."""
    found = set()
    for link in Path("/proc/self/fd").glob("*"):
        try:
            target = str(link.readlink())
        except OSError:
            continue  # closed meanwhile
        if target.startswith("socket:"):
            found.add(target)
    return found
