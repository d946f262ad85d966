"""Connections to agents, with queues, retries, time limits and health checks.

Lost at a restart: every connection, and the agents' health. That is fine: the first question to an
agent, or the first probe, opens a new connection. The data of an agent is stored on its own server.
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import structlog
from attrs import define, evolve

from ephemeral.agents.agent_queue import AgentQueue
from ephemeral.agents.api import (
    AgentApi,
    AgentFailed,
    AgentPiece,
    AgentQuestion,
    FailureReason,
    MadeFile,
    QueuePosition,
)
from ephemeral.agents.breaker import Breaker
from fsm import AgentEntry, Registry
from fsm.values.ids import AgentId, UserId
from fsm.values.registry import Condition
from fsm.values.retry import AGENT, RetryTiming, retry

_log = structlog.get_logger(__name__)

Maker = Callable[[AgentEntry], AgentApi]

TIMING = RetryTiming(sleep=asyncio.sleep, monotonic=time.monotonic, uniform=random.uniform)

MAX_ANSWER_CHARS = 200_000
"""The maximum number of characters of an answer: about a dozen messages. The rest is cut off."""

PROBE_TIMEOUT_SECONDS = 5.0
"""How long an agent may take to answer a probe."""

CLOSE_SECONDS = 5.0
"""How long closing a connection may take."""

_TEMPORARY = {FailureReason.UNREACHABLE, FailureReason.BUSY}
"""Failures after which the question is automatically sent again."""

_DEAD = {FailureReason.UNREACHABLE, FailureReason.SILENT}
"""Failures that count for the circuit breaker."""

_UNAVAILABLE = {*_DEAD, FailureReason.UNTRUSTED, FailureReason.REFUSED}
"""Failures after which users see the agent listed as unreachable."""


@define
class _Live:
    """An open connection to an agent.

    Args:
        api: The connection.
        users: How many questions and probes are using the connection now.
        is_retired: Whether new questions use another connection. A retired connection is closed
            when ``users`` becomes 0.
    """

    api: AgentApi
    users: int = 0
    is_retired: bool = False


class AgentPool:
    """Asks and probes agents. Each agent has one connection, opened when it is first needed.

    Args:
        registry: The agents. The pool records in it whether each agent can be reached.
        kinds: For the name of each agent kind, a callable that takes the agent's entry and returns
            a connection that is not open yet.
        per_user: The maximum number of concurrent questions of one user.
        probe_seconds: The time between two probes of an agent that nobody asks.
        answer_seconds: The time limit for a whole answer, if the agent's entry has none.
        timing: The functions for sleep, clock and random numbers that retries use.
    """

    def __init__(  # noqa: PLR0913  # agents, three limits and clocks
        self,
        registry: Registry,
        *,
        kinds: Mapping[str, Maker],
        per_user: int = 3,
        probe_seconds: float = 60.0,
        answer_seconds: float = 300.0,
        timing: RetryTiming = TIMING,
    ) -> None:
        self._registry = registry
        self._kinds = kinds
        self._probe_seconds = probe_seconds
        self._answer_seconds = answer_seconds
        self._timing = timing
        self._open: dict[AgentId, _Live] = {}
        self._opening: defaultdict[AgentId, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._queue = AgentQueue(per_user=per_user)
        self._breakers: defaultdict[AgentId, Breaker] = defaultdict(Breaker)
        self._checked: set[AgentId] = set()

    async def ask(
        self, agent_id: AgentId, question: AgentQuestion, user_id: UserId
    ) -> AsyncGenerator[AgentPiece | QueuePosition, None]:
        """Queue the question, send it to the agent, and yield the answer piece by piece.

        If the question waits for long, its positions in the agent's queue are yielded first.

        Args:
            agent_id: The agent.
            question: The question.
            user_id: The user who asks.

        Raises:
            AgentFailed: The agent failed, before or during the answer.
        """
        entry = self._registry.get(agent_id)
        if entry is None:
            raise AgentFailed(agent_id, "the config has no such agent")
        ticket = self._queue.join(agent_id, user_id, limit=entry.at_a_time)
        try:
            position = 0
            async with aclosing(self._queue.positions(ticket)) as positions:
                async for position in positions:
                    yield QueuePosition(position)
            if position:
                yield QueuePosition(0)
            async with aclosing(self._answer(entry, question)) as pieces:
                async for piece in _limited(pieces, agent_id):
                    yield piece
        finally:
            self._queue.leave(ticket)

    def answer_seconds(self, agent_id: AgentId) -> float:
        """The time limit for a whole answer of the agent."""
        entry = self._registry.get(agent_id)
        own = entry.answer_seconds if entry is not None else None
        return own or self._answer_seconds

    async def run(self) -> None:
        """Probe idle agents at intervals, until cancelled.

        An agent is idle if nobody has asked it since the last round of probes.
        """
        while True:
            await asyncio.gather(
                *(self._probe(entry) for entry in self._registry if entry.id not in self._checked)
            )
            self._checked.clear()
            await asyncio.sleep(self._probe_seconds)

    async def close(self) -> None:
        """Close all connections."""
        for live in list(self._open.values()):
            await _close(live)
        self._open.clear()

    async def _answer(
        self, entry: AgentEntry, question: AgentQuestion
    ) -> AsyncGenerator[AgentPiece, None]:
        async with AsyncExitStack() as stack:
            pieces, first = await self._begin(stack, entry, question)
            async with self._errors_of(entry):
                if first is not None:
                    yield self._guarded(entry, first)
                async for piece in pieces:
                    yield self._guarded(entry, piece)

    async def _begin(
        self, stack: AsyncExitStack, entry: AgentEntry, question: AgentQuestion
    ) -> tuple[AsyncGenerator[AgentPiece, None], AgentPiece | None]:
        """Send the question, and wait for the first piece of the answer; retry if that fails.

        Args:
            stack: Closes the answer when the caller leaves the stack's ``with`` block.
            entry: The agent.
            question: The question.

        Returns:
            The pieces after the first, and the first piece; None instead of it if there is none.

        Raises:
            AgentFailed: The circuit is open, or no attempt succeeded.
        """
        breaker = self._breakers[entry.id]
        if not breaker.allows():
            problem = "it has failed several times in a row, and is left alone for a while"
            raise AgentFailed(entry.id, problem, FailureReason.UNREACHABLE)
        try:
            begun = await retry(
                lambda: self._try(stack, entry, question), AGENT, _retry_after, self._timing
            )
        except AgentFailed as failure:
            self._note_health(entry, failure.reason)
            raise
        except BaseException:
            breaker.cancelled()
            raise
        self._note_health(entry, None)
        return begun

    async def _try(
        self, stack: AsyncExitStack, entry: AgentEntry, question: AgentQuestion
    ) -> tuple[AsyncGenerator[AgentPiece, None], AgentPiece | None]:
        seconds = entry.first_seconds or entry.answer_seconds or self._answer_seconds
        async with AsyncExitStack() as trying:
            connection = await trying.enter_async_context(self._connection(entry))
            async with self._errors_of(entry):
                pieces = connection.ask(question)
                trying.push_async_callback(pieces.aclose)
                try:
                    async with asyncio.timeout(seconds):
                        first = await anext(pieces, None)
                except TimeoutError:
                    problem = f"no word within {seconds:g} s"
                    raise AgentFailed(entry.id, problem, FailureReason.SILENT) from None
            await stack.enter_async_context(trying.pop_all())
        return pieces, first

    def _guarded(self, entry: AgentEntry, piece: AgentPiece) -> AgentPiece:
        """Return the piece. If it is a file, the errors while reading it become ``AgentFailed``."""

        async def chunks(made: MadeFile) -> AsyncIterator[bytes]:
            async with self._errors_of(entry):
                async for chunk in made.chunks:
                    yield chunk

        return piece if isinstance(piece, str) else evolve(piece, chunks=chunks(piece))

    async def _probe(self, entry: AgentEntry) -> None:
        reason = None
        try:
            async with (
                asyncio.timeout(PROBE_TIMEOUT_SECONDS),
                self._connection(entry) as connection,
                self._errors_of(entry),
            ):
                await connection.probe()
        except TimeoutError:
            reason = FailureReason.SILENT
        except AgentFailed as failure:
            reason = failure.reason
            _log.debug("agent unreachable", agent=entry.id, problem=failure.problem)
        self._note_health(entry, reason)

    def _note_health(self, entry: AgentEntry, reason: FailureReason | None) -> None:
        """Record in the registry and the circuit breaker whether the agent can be reached.

        ``reason`` is the reason for which the agent failed, or None if it answered.
        """
        self._checked.add(entry.id)
        if reason in _UNAVAILABLE:
            self._registry.note(entry.id, Condition.UNREACHABLE)
        else:
            self._registry.note(entry.id, Condition.REACHABLE)
        if reason in _DEAD:
            self._breakers[entry.id].failed()
        else:
            self._breakers[entry.id].succeeded()

    @asynccontextmanager
    async def _errors_of(self, entry: AgentEntry) -> AsyncIterator[None]:
        """Convert all errors of an agent's code to AgentFailed, and retire its connection."""
        try:
            yield
        except AgentFailed:
            await self._retire(entry.id)
            raise
        except Exception as error:  # a third party's code: its user sees AgentFailed
            _log.exception("agent raised", agent=entry.id)
            await self._retire(entry.id)
            raise AgentFailed(entry.id, type(error).__name__) from error

    @asynccontextmanager
    async def _connection(self, entry: AgentEntry) -> AsyncIterator[AgentApi]:
        """Yield the agent's connection, which is not closed while the ``with`` block runs.

        Open the connection first if there is none.
        """
        async with self._opening[entry.id]:
            if entry.id not in self._open:
                async with self._errors_of(entry):
                    live = _Live(self._kinds[entry.kind](entry))
                    try:
                        await live.api.open()
                    except BaseException:
                        await _close(live)
                        raise
                self._open[entry.id] = live
            live = self._open[entry.id]
        live.users += 1
        try:
            yield live.api
        finally:
            live.users -= 1
            if not live.users and live.is_retired:
                await _close(live)

    async def _retire(self, agent_id: AgentId) -> None:
        """Make the next question open a new connection. Answers in progress keep the old one."""
        live = self._open.pop(agent_id, None)
        if live is not None:
            live.is_retired = True
            if not live.users:
                await _close(live)


async def _close(live: _Live) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await live.api.close()
    except Exception:  # noqa: BLE001  # closing is best effort; the error is logged
        _log.exception("agent did not close")


async def _limited(
    pieces: AsyncIterator[AgentPiece], agent_id: AgentId
) -> AsyncGenerator[AgentPiece, None]:
    """Yield the pieces; cut off their text after ``MAX_ANSWER_CHARS`` and raise ``AgentFailed``."""
    left = MAX_ANSWER_CHARS
    async for piece in pieces:
        if isinstance(piece, str):
            yield piece[:left]
            left -= len(piece)
        else:
            yield piece
        if left < 0:
            problem = f"its answer has more than {MAX_ANSWER_CHARS} characters"
            raise AgentFailed(agent_id, problem, FailureReason.TOO_LONG)


def _retry_after(error: Exception) -> float | None:
    """Return the seconds that the agent asks to wait before a retry; 0.0 if it names none.

    None means that the question is not retried after this error.
    """
    if not isinstance(error, AgentFailed) or error.reason not in _TEMPORARY:
        return None
    return error.retry_after_seconds or 0.0
