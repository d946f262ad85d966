"""Per-agent request queues with per-user limits.

Lost at a restart: the queues. That is fine: their questions are handled again after the restart,
and join the queue again.

Each room asks one question at a time, so first in, first out is fair between rooms. The number of
concurrent questions of one user is limited: beyond it, other users' questions are admitted first.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator
from contextlib import suppress

from fsm.values.ids import AgentId, UserId

POSITION_AFTER_SECONDS = 3.0
"""How long a question waits before its position is reported. Most waits are shorter."""

POSITION_INTERVAL_SECONDS = 1.0
"""The minimum time between two reports of a position."""


class Ticket:
    """One question's place in the queue of its agent.

    Attributes:
        agent_id: The agent.
        user_id: The asking user.
        admitted: Set once the question may be sent to the agent.
        moved: Set whenever the queue has moved.
    """

    def __init__(self, agent_id: AgentId, user_id: UserId) -> None:
        self.agent_id = agent_id
        self.user_id = user_id
        self.admitted = asyncio.Event()
        self.moved = asyncio.Event()


class AgentQueue:
    """The queue of questions of each agent.

    Args:
        per_user: Maximum number of questions of one user that are answered at once, by all agents.
    """

    def __init__(self, *, per_user: int) -> None:
        self._per_user = per_user
        self._waiting: defaultdict[AgentId, list[Ticket]] = defaultdict(list)
        self._limits: dict[AgentId, int] = {}
        self._active_of_agent: Counter[AgentId] = Counter()
        self._active_of_user: Counter[UserId] = Counter()

    def join(self, agent_id: AgentId, user_id: UserId, *, limit: int) -> Ticket:
        """Queue a question for an agent that answers at most ``limit`` questions at once."""
        ticket = Ticket(agent_id, user_id)
        self._limits[agent_id] = limit
        self._waiting[agent_id].append(ticket)
        self._admit()
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Remove the question, because it was answered or is no longer wanted."""
        if ticket.admitted.is_set():
            self._active_of_agent[ticket.agent_id] -= 1
            self._active_of_user[ticket.user_id] -= 1
            if not self._active_of_user[ticket.user_id]:
                del self._active_of_user[ticket.user_id]
        else:
            self._waiting[ticket.agent_id].remove(ticket)
        self._admit()

    async def positions(self, ticket: Ticket) -> AsyncGenerator[int, None]:
        """The ticket's positions, from 1: after a first wait, then whenever it changes.

        Ends when the question is admitted.
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
        """Admit all questions that the limits allow, in order, and wake those that still wait."""
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
    """Wait for the event, or until the time has passed."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
