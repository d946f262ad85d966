"""Per-agent request queues with per-user limits.

Lost at a restart: the queues. That is fine: the waiting questions are handled again after the
restart, and join the queues again.

Each room asks one question at a time, so first in, first out is fair between rooms. The number of
concurrent questions of one user is limited too. While a user is at that limit, the queue skips the
user's questions and admits those of other users.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator
from contextlib import suppress

from fsm.values.ids import AgentId, UserId

POSITION_AFTER_SECONDS = 3.0
"""How long a question waits before its queue position is first reported. Most waits are shorter."""

POSITION_INTERVAL_SECONDS = 1.0
"""The minimum time between two reports of a question's queue position."""


class Ticket:
    """One question's place in the queue of its agent.

    Attributes:
        agent_id: The agent that is asked.
        user_id: The user who asks.
        admitted: Set once the question may be sent to the agent.
        moved: Set when the question's position in the queue may have changed.
    """

    def __init__(self, agent_id: AgentId, user_id: UserId) -> None:
        self.agent_id = agent_id
        self.user_id = user_id
        self.admitted = asyncio.Event()
        self.moved = asyncio.Event()


class AgentQueue:
    """Queues the questions to each agent, and admits them in order, within the limits.

    Args:
        per_user: The maximum number of concurrent questions of one user, to all agents together.
    """

    def __init__(self, *, per_user: int) -> None:
        self._per_user = per_user
        self._waiting: defaultdict[AgentId, list[Ticket]] = defaultdict(list)
        self._limits: dict[AgentId, int] = {}
        self._active_of_agent: Counter[AgentId] = Counter()
        self._active_of_user: Counter[UserId] = Counter()

    def join(self, agent_id: AgentId, user_id: UserId, *, limit: int) -> Ticket:
        """Add a question to the agent's queue, and admit it at once if the limits allow it.

        Args:
            agent_id: The agent that is asked.
            user_id: The user who asks.
            limit: The maximum number of concurrent questions to this agent.

        Returns:
            The question's ticket, which must be passed to ``leave`` later.
        """
        ticket = Ticket(agent_id, user_id)
        self._limits[agent_id] = limit
        self._waiting[agent_id].append(ticket)
        self._admit()
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Remove a question that was answered or is no longer wanted, and admit waiting ones."""
        if ticket.admitted.is_set():
            self._active_of_agent[ticket.agent_id] -= 1
            self._active_of_user[ticket.user_id] -= 1
            if not self._active_of_user[ticket.user_id]:
                del self._active_of_user[ticket.user_id]
        else:
            self._waiting[ticket.agent_id].remove(ticket)
        self._admit()

    async def positions(self, ticket: Ticket) -> AsyncGenerator[int, None]:
        """Yield the question's position in its queue, counted from 1, whenever it changes.

        Nothing is yielded during the first ``POSITION_AFTER_SECONDS``. The generator ends when the
        question is admitted.
        """
        await _wait(ticket.admitted, POSITION_AFTER_SECONDS)
        reported = 0
        while not ticket.admitted.is_set():
            position = self._waiting[ticket.agent_id].index(ticket) + 1
            if position == reported:
                ticket.moved.clear()
                await ticket.moved.wait()
            else:
                reported = position
                yield position
                await _wait(ticket.admitted, POSITION_INTERVAL_SECONDS)

    def _admit(self) -> None:
        """Admit all questions that the limits allow, oldest first, and set ``moved`` of all."""
        for agent_id, waiting in self._waiting.items():
            for ticket in list(waiting):
                is_free = self._active_of_agent[agent_id] < self._limits[agent_id]
                if is_free and self._active_of_user[ticket.user_id] < self._per_user:
                    waiting.remove(ticket)
                    self._active_of_agent[agent_id] += 1
                    self._active_of_user[ticket.user_id] += 1
                    ticket.admitted.set()
                ticket.moved.set()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait until the event is set, or until ``seconds`` have passed."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
