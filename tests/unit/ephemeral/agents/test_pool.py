import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from ephemeral.agents import agent_queue, breaker
from ephemeral.agents import pool as pool_module
from ephemeral.agents.api import (
    AgentFailed,
    AgentPiece,
    AgentQuestion,
    FailureReason,
    MadeFile,
    QueuePosition,
)
from ephemeral.agents.breaker import MAX_FAILURES
from ephemeral.agents.pool import MAX_ANSWER_CHARS, AgentPool
from fsm import AgentEntry, Registry
from fsm.values.ids import AgentId, EventId, PlatformChatId, UserId
from fsm.values.registry import Condition
from fsm.values.retry import AGENT, RetryTiming
from tests.support.virtual_time import virtual_time

AT_ONCE = RetryTiming(
    sleep=lambda _seconds: asyncio.sleep(0), monotonic=lambda: 0.0, uniform=lambda low, _high: low
)

A1, ALICE, BOB = AgentId("a1"), UserId("@alice:x"), UserId("@bob:x")


def asked(text: str = "hello") -> AgentQuestion:
    return AgentQuestion(request_id=EventId("$q"), platform_chat_id=PlatformChatId("1"), text=text)


class Scripted:
    """Does what each question in turn is to meet: pieces, pauses in seconds, failures."""

    def __init__(self, *answers: Sequence[str | float | Exception | MadeFile]) -> None:
        self.answers = list(answers)
        self.asked: list[AgentQuestion] = []
        self.probes = 0
        self.opened = self.closed = 0
        self.is_away = False

    def __call__(self, entry: AgentEntry) -> "Scripted":
        assert entry.id == A1
        return self

    async def open(self) -> None:
        self.opened += 1

    async def ask(self, question: AgentQuestion) -> AsyncGenerator[AgentPiece, None]:
        self.asked.append(question)
        for piece in self.answers.pop(0) if self.answers else ["yes"]:
            if isinstance(piece, Exception):
                raise piece
            if isinstance(piece, float):
                await asyncio.sleep(piece)
            else:
                yield piece

    async def probe(self) -> None:
        self.probes += 1
        if self.is_away:
            raise away()

    async def close(self) -> None:
        self.closed += 1


class NeverOpens(Scripted):
    """Fails when it is opened."""

    async def open(self) -> None:
        await super().open()
        raise OSError("no such host")


class NeverCloses(Scripted):
    """Hangs when it is closed."""

    async def close(self) -> None:
        await asyncio.Event().wait()


def away(
    reason: FailureReason = FailureReason.UNREACHABLE, after: float | None = None
) -> AgentFailed:
    return AgentFailed(A1, "away", reason, after)


def connected(agent: Scripted, **entry: float) -> tuple[AgentPool, Registry]:
    registry = Registry([AgentEntry(id=A1, name="A1", kind="s", **entry)])  # type: ignore[arg-type]
    pool = AgentPool(registry, kinds={"s": agent}, probe_seconds=0.02, timing=AT_ONCE)
    return pool, registry


async def answer(of: AgentPool, asker: UserId = ALICE) -> list[AgentPiece | QueuePosition]:
    return [piece async for piece in of.ask(A1, asked(), asker)]


@pytest.mark.parametrize("failure", [away(), away(FailureReason.BUSY, 0.01)])
async def test_what_passes_is_tried_again_with_the_same_question(failure: AgentFailed) -> None:
    agent = Scripted([failure], [failure], ["yes"])

    assert await answer(connected(agent)[0]) == ["yes"]

    assert len(agent.asked) == AGENT.max_attempts
    assert {question.request_id for question in agent.asked} == {"$q"}


@pytest.mark.parametrize(
    "failure", [away(FailureReason.REFUSED), away(FailureReason.BUSY, 60.0), ValueError("a bug")]
)
async def test_what_does_not_pass_is_not_tried_again(failure: Exception) -> None:
    agent = Scripted([failure])

    with pytest.raises(AgentFailed):
        await answer(connected(agent)[0])

    assert len(agent.asked) == 1


async def test_a_connection_that_could_not_be_opened_is_closed_and_made_anew() -> None:
    agent = NeverOpens()

    with pytest.raises(AgentFailed, match="OSError"):
        await answer(connected(agent)[0])

    assert agent.opened == agent.closed > 0


async def test_no_connection_stays_open_when_answers_fail_one_after_the_other() -> None:
    agent = Scripted(["a", 0.05, away()], [ValueError("a bug")], ["yes"])
    pool = connected(agent)[0]
    first = pool.ask(A1, asked(), ALICE)
    assert await anext(first) == "a"
    with pytest.raises(AgentFailed):
        await answer(pool)
    assert await answer(pool) == ["yes"]

    with pytest.raises(AgentFailed):
        await anext(first)

    assert (agent.opened, agent.closed) == (2, 2)


async def test_a_connection_that_does_not_close_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_module, "CLOSE_SECONDS", 0.01)
    agent = NeverCloses([ValueError("a bug")], ["yes"])
    pool = connected(agent)[0]
    with pytest.raises(AgentFailed):
        await answer(pool)

    assert await answer(pool) == ["yes"]


async def test_a_file_that_raises_while_it_is_read_fails_as_its_agent() -> None:
    async def content() -> AsyncGenerator[bytes, None]:
        yield b"ab"
        raise ValueError("a bug")

    agent = Scripted([MadeFile(name="a", chunks=content())])
    pieces = connected(agent)[0].ask(A1, asked(), ALICE)
    file = await anext(pieces)
    assert isinstance(file, MadeFile)

    with pytest.raises(AgentFailed, match="ValueError"):
        [chunk async for chunk in file.chunks]
    await pieces.aclose()


async def test_an_answer_that_is_too_long_is_cut_off_and_fails() -> None:
    agent = Scripted(["x" * MAX_ANSWER_CHARS, "yz", "more"])
    pieces = connected(agent)[0].ask(A1, asked(), ALICE)

    assert await anext(pieces) == "x" * MAX_ANSWER_CHARS
    assert await anext(pieces) == ""
    with pytest.raises(AgentFailed) as failed:
        await anext(pieces)

    assert failed.value.reason is FailureReason.TOO_LONG


async def test_nothing_is_tried_again_once_a_word_has_come() -> None:
    agent = Scripted(["half an ", away()])
    pieces = connected(agent)[0].ask(A1, asked(), ALICE)

    assert await anext(pieces) == "half an "
    with pytest.raises(AgentFailed):
        await anext(pieces)

    assert len(agent.asked) == 1


@virtual_time
async def test_an_agent_that_does_not_begin_is_given_up() -> None:
    agent = Scripted([5.0, "late"])
    connections, registry = connected(agent, first_seconds=0.02)

    with pytest.raises(AgentFailed) as failed:
        await answer(connections)

    assert failed.value.reason is FailureReason.SILENT
    assert registry.condition(A1) is Condition.UNREACHABLE


async def test_a_dead_agent_is_spared_and_others_than_the_dead_are_not() -> None:
    dead = Scripted(*([[away()] for _ in range(100)]))
    connections, _ = connected(dead)

    for _ in range(MAX_FAILURES + 5):
        with pytest.raises(AgentFailed) as failed:
            await answer(connections)
        assert failed.value.reason is FailureReason.UNREACHABLE

    assert len(dead.asked) == MAX_FAILURES * AGENT.max_attempts
    strict = Scripted(*([[away(FailureReason.REJECTED)] for _ in range(100)]))
    connections, registry = connected(strict)
    for _ in range(MAX_FAILURES + 5):
        with pytest.raises(AgentFailed):
            await answer(connections)
    assert len(strict.asked) == MAX_FAILURES + 5
    assert registry.condition(A1) is Condition.REACHABLE


@virtual_time
async def test_agents_that_nobody_asks_are_looked_at_and_come_back() -> None:
    agent = Scripted()
    agent.is_away = True
    connections, registry = connected(agent)
    assert registry.condition(A1) is None
    looking = asyncio.ensure_future(connections.run())

    await asyncio.sleep(0.05)
    assert registry.condition(A1) is Condition.UNREACHABLE
    agent.is_away = False
    await asyncio.sleep(0.1)
    assert registry.condition(A1) is Condition.REACHABLE
    assert await answer(connections) == ["yes"]

    looking.cancel()


@virtual_time
async def test_an_answer_goes_on_while_another_of_the_same_agent_fails() -> None:
    agent = Scripted(["one ", 0.05, "two"], [away(FailureReason.REFUSED)])
    connections, _ = connected(agent)
    going_on = asyncio.ensure_future(answer(connections))
    await asyncio.sleep(0.01)

    with pytest.raises(AgentFailed):
        await answer(connections, BOB)

    assert agent.closed == 0
    assert await going_on == ["one ", "two"]
    assert agent.closed == 1
    assert await answer(connections) == ["yes"]
    assert agent.opened == 2


@virtual_time
async def test_who_waits_in_line_is_told_so_and_who_stops_waiting_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agent_queue, "POSITION_AFTER_SECONDS", 0.01)
    agent = Scripted(["one", 0.1])
    connections, _ = connected(agent, at_a_time=1)
    first = asyncio.ensure_future(answer(connections))
    await asyncio.sleep(0)
    impatient = connections.ask(A1, asked(), BOB)
    assert await anext(impatient) == QueuePosition(1)
    patient = asyncio.ensure_future(answer(connections, BOB))
    await asyncio.sleep(0.02)

    await impatient.aclose()

    assert await first == ["one"]
    assert await patient == [QueuePosition(2), QueuePosition(0), "yes"]


async def left_alone(agent: Scripted, monkeypatch: pytest.MonkeyPatch) -> AgentPool:
    """Connections to an agent that has failed three times; the next question is a trial."""
    monkeypatch.setattr(breaker, "FIRST_PAUSE_SECONDS", 0.0)
    agent.answers[:0] = [[away(FailureReason.SILENT)] for _ in range(3)]
    connections, _ = connected(agent)
    for _ in range(3):
        with pytest.raises(AgentFailed):
            await answer(connections)
    assert len(agent.asked) == 3
    return connections


async def test_while_an_agent_is_tried_other_questions_are_refused_until_it_has_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent = Scripted([0.05, "back"])
    connections = await left_alone(agent, monkeypatch)
    trial = asyncio.ensure_future(answer(connections))
    await asyncio.sleep(0.01)

    with pytest.raises(AgentFailed, match="left alone for a while"):
        await answer(connections, BOB)
    assert await trial == ["back"]

    assert await answer(connections, BOB) == ["yes"]
    assert len(agent.asked) == 5


async def test_a_trial_that_nobody_waits_for_any_more_leaves_the_next_question_a_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent = Scripted([3600.0])
    connections = await left_alone(agent, monkeypatch)
    trial = asyncio.ensure_future(answer(connections))
    await asyncio.sleep(0.01)
    assert len(agent.asked) == 4

    trial.cancel()
    await asyncio.wait([trial])

    assert await answer(connections) == ["yes"]
