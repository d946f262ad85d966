"""Live connections to agents.

Lost at a restart: every connection. That is fine: each is opened again by the first question
that needs it, and the agents' own memory is the platform's.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping

import structlog

from ephemeral.agents import AgentApi, AgentFailed, AgentPiece, AgentQuestion
from fsm import AgentEntry, Registry
from fsm.ids import AgentId

_log = structlog.get_logger(__name__)

Maker = Callable[[AgentEntry], AgentApi]


class Connections:
    """One live connection for each agent that has been asked something."""

    def __init__(self, registry: Registry, *, kinds: Mapping[str, Maker]) -> None:
        self._registry = registry
        self._kinds = kinds
        self._open: dict[AgentId, AgentApi] = {}
        self._opening: defaultdict[AgentId, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def ask(
        self, agent_id: AgentId, question: AgentQuestion
    ) -> AsyncGenerator[AgentPiece, None]:
        """The agent's answer, piece by piece.

        Raises:
            AgentFailed: Whatever kept the agent from answering to the end.
        """
        try:
            connection = await self._connection(agent_id)
            async for piece in connection.ask(question):
                yield piece
        except AgentFailed:
            await self._drop(agent_id)
            raise
        except Exception as error:  # an agent's code is a third party's: its user sees AgentFailed
            _log.exception("agent raised", agent=agent_id)
            await self._drop(agent_id)
            raise AgentFailed(agent_id, type(error).__name__) from error

    async def close(self) -> None:
        """Close them all."""
        for agent_id in list(self._open):
            await self._drop(agent_id)

    async def _connection(self, agent_id: AgentId) -> AgentApi:
        async with self._opening[agent_id]:
            if agent_id not in self._open:
                entry = self._registry.get(agent_id)
                if entry is None:
                    raise AgentFailed(agent_id, "the config has no such agent")
                connection = self._kinds[entry.kind](entry)
                await connection.open()
                self._open[agent_id] = connection
            return self._open[agent_id]

    async def _drop(self, agent_id: AgentId) -> None:
        connection = self._open.pop(agent_id, None)
        if connection is None:
            return
        try:
            await connection.close()
        except Exception:  # noqa: BLE001  # closing is a courtesy; the log has it
            _log.exception("agent did not close", agent=agent_id)
