"""Who is asked next: queues before agents, with limits for each agent and each person.

Lost at a restart: the queues. That is fine: the questions are handled again, and queue anew.

A room asks one question at a time, so that first come, first served is fair between rooms; a person
with many rooms is held to some questions at once, and the others are served past them.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator
from contextlib import suppress

from fsm.values.ids import AgentId, UserId

PATIENCE_SECONDS = 3.0
"""A wait that is shorter is not worth a word."""

NEWS_SECONDS = 1.0
"""A change of place is told so often at most."""


class Ticket:
    """One question's place before its agent.

    Args:
        agent_id: The agent.
        asker: Who asks.
    """

    def __init__(self, agent_id: AgentId, asker: UserId) -> None:
        self.agent_id = agent_id
        self.asker = asker
        self.served = asyncio.Event()
        self.news = asyncio.Event()


class AgentQueue:
    """A line before each agent.

    Args:
        each: So many questions of one person are answered at once.
    """

    def __init__(self, *, each: int) -> None:
        self._each = each
        self._lines: defaultdict[AgentId, list[Ticket]] = defaultdict(list)
        self._most: dict[AgentId, int] = {}
        self._at_work: Counter[AgentId] = Counter()
        self._of_people: Counter[UserId] = Counter()

    def join(self, agent_id: AgentId, asker: UserId, *, most: int) -> Ticket:
        """Stand in line before an agent that is asked ``most`` questions at once."""
        place = Ticket(agent_id, asker)
        self._most[agent_id] = most
        self._lines[agent_id].append(place)
        self._serve()
        return place

    def leave(self, place: Ticket) -> None:
        """The question was answered, or is wanted no more."""
        if place.served.is_set():
            self._at_work[place.agent_id] -= 1
            self._of_people[place.asker] -= 1
            if not self._of_people[place.asker]:
                del self._of_people[place.asker]
        else:
            self._lines[place.agent_id].remove(place)
        self._serve()

    async def positions(self, place: Ticket) -> AsyncGenerator[int, None]:
        """The place's position in its line, from 1, if it waits for long, and whenever it changes.

        Ends when its turn has come.
        """
        await _within(PATIENCE_SECONDS, place.served)
        told = 0
        while not place.served.is_set():
            position = self._lines[place.agent_id].index(place) + 1
            if position == told:
                place.news.clear()
                await place.news.wait()
            else:
                told = position
                yield position
                await _within(NEWS_SECONDS, place.served)

    def _serve(self) -> None:
        """Let in whoever may go, in order, and tell all others that the line has moved."""
        for agent_id, line in self._lines.items():
            for place in list(line):
                is_free = self._at_work[agent_id] < self._most[agent_id]
                if is_free and self._of_people[place.asker] < self._each:
                    line.remove(place)
                    self._at_work[agent_id] += 1
                    self._of_people[place.asker] += 1
                    place.served.set()
                place.news.set()


async def _within(seconds: float, event: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
