"""Live connections to agents, and the care that is taken of them.

Lost at a restart: every connection, and what is known of the agents' health. That is fine: each
connection is opened again by the first question that needs it, and the agents' own memory is the
platform's.
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import structlog
from attrs import define, evolve

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
from ephemeral.agents.queue import AgentQueue
from fsm import AgentEntry, Registry
from fsm.values.ids import AgentId, UserId
from fsm.values.registry import Condition
from fsm.values.retry import AGENT, RetryTiming, retry

_log = structlog.get_logger(__name__)

Maker = Callable[[AgentEntry], AgentApi]

REAL_TIMING = RetryTiming(sleep=asyncio.sleep, monotonic=time.monotonic, uniform=random.uniform)

PROBE_SECONDS = 5.0
"""How long an agent may take to show that it is there."""

_PASSING = {FailureReason.UNREACHABLE, FailureReason.BUSY}
_DEAD = {FailureReason.UNREACHABLE, FailureReason.SILENT}
_ABSENT = {*_DEAD, FailureReason.UNTRUSTED, FailureReason.REFUSED}


@define
class _Live:
    """A connection, closed when it is wanted no more and its last question is answered."""

    api: AgentApi
    users: int = 0
    is_wanted: bool = True


class AgentPool:
    """One live connection for each agent that has been asked something.

    Args:
        registry: The agents; is told how they are.
        kinds: What makes connections.
        each: So many questions of one person are answered at once.
        probe_seconds: How often an agent that nobody asks is looked at.
        answer_seconds: How long an agent may take to begin, if its entry does not say.
        timing: How waits between two attempts pass.
    """

    def __init__(  # noqa: PLR0913  # what it looks after, three limits and how time passes
        self,
        registry: Registry,
        *,
        kinds: Mapping[str, Maker],
        each: int = 3,
        probe_seconds: float = 60.0,
        answer_seconds: float = 300.0,
        timing: RetryTiming = REAL_TIMING,
    ) -> None:
        self._registry = registry
        self._kinds = kinds
        self._probe_seconds = probe_seconds
        self._answer_seconds = answer_seconds
        self._timing = timing
        self._open: dict[AgentId, _Live] = {}
        self._opening: defaultdict[AgentId, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._lines = AgentQueue(each=each)
        self._breakers: defaultdict[AgentId, Breaker] = defaultdict(Breaker)
        self._heard_of: set[AgentId] = set()

    async def ask(
        self, agent_id: AgentId, question: AgentQuestion, asker: UserId
    ) -> AsyncGenerator[AgentPiece | QueuePosition, None]:
        """The agent's answer, piece by piece; before it, where the question stands in the line.

        Raises:
            AgentFailed: Whatever kept the agent from answering to the end.
        """
        entry = self._registry.get(agent_id)
        if entry is None:
            raise AgentFailed(agent_id, "the config has no such agent")
        place = self._lines.join(agent_id, asker, most=entry.at_a_time)
        try:
            position = 0
            async with aclosing(self._lines.positions(place)) as positions:
                async for position in positions:
                    yield QueuePosition(position)
            if position:
                yield QueuePosition(0)
            async with aclosing(self._answer(entry, question)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            self._lines.leave(place)

    def answer_seconds(self, agent_id: AgentId) -> float:
        """How long the agent may take for a whole answer."""
        entry = self._registry.get(agent_id)
        own = entry.answer_seconds if entry is not None else None
        return own or self._answer_seconds

    async def run(self) -> None:
        """Look now and then at the agents that nobody asks, until cancelled."""
        while True:
            await asyncio.gather(
                *(self._probe(entry) for entry in self._registry if entry.id not in self._heard_of)
            )
            self._heard_of.clear()
            await asyncio.sleep(self._probe_seconds)

    async def close(self) -> None:
        """Close them all."""
        for live in list(self._open.values()):
            await _close(live)
        self._open.clear()

    async def _answer(
        self, entry: AgentEntry, question: AgentQuestion
    ) -> AsyncGenerator[AgentPiece, None]:
        async with AsyncExitStack() as stack:
            pieces, first = await self._begin(stack, entry, question)
            async with self._typed(entry):
                if first is not None:
                    yield self._guarded(entry, first)
                async for piece in pieces:
                    yield self._guarded(entry, piece)

    async def _begin(
        self, stack: AsyncExitStack, entry: AgentEntry, question: AgentQuestion
    ) -> tuple[AsyncGenerator[AgentPiece, None], AgentPiece | None]:
        """The answer's pieces, and the first of them; tried again while nothing has come."""
        breaker = self._breakers[entry.id]
        if not breaker.lets_pass():
            problem = "it has failed several times in a row, and is left alone for a while"
            raise AgentFailed(entry.id, problem, FailureReason.UNREACHABLE)
        try:
            begun = await retry(
                lambda: self._try(stack, entry, question), AGENT, _retry_after, self._timing
            )
        except AgentFailed as failure:
            self._found(entry, failure.trouble)
            raise
        except BaseException:
            breaker.gave_up()
            raise
        self._found(entry, None)
        return begun

    async def _try(
        self, stack: AsyncExitStack, entry: AgentEntry, question: AgentQuestion
    ) -> tuple[AsyncGenerator[AgentPiece, None], AgentPiece | None]:
        seconds = entry.first_seconds or entry.answer_seconds or self._answer_seconds
        async with AsyncExitStack() as trying:
            connection = await trying.enter_async_context(self._connection(entry))
            async with self._typed(entry):
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
        """The piece; reading it, if it is a file, raises nothing but what we know."""

        async def chunks(made: MadeFile) -> AsyncIterator[bytes]:
            async with self._typed(entry):
                async for chunk in made.chunks:
                    yield chunk

        return piece if isinstance(piece, str) else evolve(piece, chunks=chunks(piece))

    async def _probe(self, entry: AgentEntry) -> None:
        trouble = None
        try:
            async with (
                asyncio.timeout(PROBE_SECONDS),
                self._connection(entry) as connection,
                self._typed(entry),
            ):
                await connection.probe()
        except TimeoutError:
            trouble = FailureReason.SILENT
        except AgentFailed as failure:
            trouble = failure.trouble
            _log.debug("agent not there", agent=entry.id, problem=failure.problem)
        self._found(entry, trouble)

    def _found(self, entry: AgentEntry, trouble: FailureReason | None) -> None:
        """Note how the agent is."""
        self._heard_of.add(entry.id)
        if trouble in _ABSENT:
            self._registry.note(entry.id, Condition.UNREACHABLE)
        else:
            self._registry.note(entry.id, Condition.REACHABLE)
        if trouble in _DEAD:
            self._breakers[entry.id].failed()
        else:
            self._breakers[entry.id].succeeded()

    @asynccontextmanager
    async def _typed(self, entry: AgentEntry) -> AsyncIterator[None]:
        """Have what an agent's code raises be one of ours, and the connection be made anew."""
        try:
            yield
        except AgentFailed:
            self._retire(entry.id)
            raise
        except Exception as error:  # a third party's code: its user sees AgentFailed
            _log.exception("agent raised", agent=entry.id)
            self._retire(entry.id)
            raise AgentFailed(entry.id, type(error).__name__) from error

    @asynccontextmanager
    async def _connection(self, entry: AgentEntry) -> AsyncIterator[AgentApi]:
        """A live connection, which is not closed while the body runs."""
        async with self._opening[entry.id]:
            if entry.id not in self._open:
                async with self._typed(entry):
                    api = self._kinds[entry.kind](entry)
                    await api.open()
                self._open[entry.id] = _Live(api)
            live = self._open[entry.id]
        live.users += 1
        try:
            yield live.api
        finally:
            live.users -= 1
            if not live.users and not live.is_wanted:
                await _close(live)

    def _retire(self, agent_id: AgentId) -> None:
        """The next question has a connection of its own; those that are being answered go on."""
        live = self._open.pop(agent_id, None)
        if live is not None:
            live.is_wanted = False


async def _close(live: _Live) -> None:
    try:
        await live.api.close()
    except Exception:  # noqa: BLE001  # closing is a courtesy; the log has it
        _log.exception("agent did not close")


def _retry_after(error: Exception) -> float | None:
    if not isinstance(error, AgentFailed) or error.trouble not in _PASSING:
        return None
    return error.retry_after_seconds or 0.0
