"""The registry of agents, as the config names them: values only, no connections."""

from collections.abc import Iterable, Iterator
from enum import Enum

from attrs import field, frozen

from fsm.values.ids import AgentId
from fsm.values.text import answered, compared, number_in
from fsm.values.translation import sentence


@frozen(kw_only=True)
class AgentEntry:
    """One agent of the registry.

    Args:
        id: What ``!agent`` takes and what rooms are bound to.
        name: What people read.
        kind: Which implementation of ``AgentApi`` talks to it.
        description: One sentence for ``!agents``; may be empty.
        options: The kind's own settings.
        first_seconds: How long it may take to begin an answer; None for as long as it may take for
            all of it.
        answer_seconds: How long it may take for a whole answer; None for what the config says of
            all agents.
        at_a_time: How many questions it is asked at once.
    """

    id: AgentId
    name: str
    kind: str
    description: str = ""
    options: object = field(default=None, repr=False)
    first_seconds: float | None = None
    answer_seconds: float | None = None
    at_a_time: int = 10


class Condition(Enum):
    """How an agent is just now, as far as is known, and what people read of it."""

    REACHABLE = sentence("reachable")
    UNREACHABLE = sentence("can't be reached right now")


class Registry:
    """The agents in the config's order, and how they are. Lookups never raise."""

    def __init__(self, entries: Iterable[AgentEntry]) -> None:
        self._entries = tuple(entries)
        self._by_id = {entry.id: entry for entry in self._entries}
        self._conditions: dict[AgentId, Condition] = {}

    def __iter__(self) -> Iterator[AgentEntry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, agent_id: object) -> bool:
        return agent_id in self._by_id

    def get(self, agent_id: AgentId | None) -> AgentEntry | None:
        """The entry with this id, or None."""
        return self._by_id.get(agent_id) if agent_id is not None else None

    def note(self, agent_id: AgentId, condition: Condition) -> None:
        """This is how the agent was found to be. It is never kept over a restart."""
        self._conditions[agent_id] = condition

    def condition(self, agent_id: AgentId) -> Condition | None:
        """How the agent was when it was last asked or looked at; None if it never was."""
        return self._conditions.get(agent_id)

    @property
    def only(self) -> AgentEntry | None:
        """The sole agent, where there is just one to select."""
        return self._entries[0] if len(self._entries) == 1 else None

    def find(self, choice: str) -> AgentEntry | None:
        """The agent that a person means by a number counted from 1, or by an id in any case.

        An id counts with punctuation around it, unless it is another's without.
        """
        number = number_in(choice)
        if number is not None and 1 <= number <= len(self._entries):
            return self._entries[number - 1]
        wanted = choice.strip()
        for form in (compared, answered):
            matching = [e for e in self._entries if form(e.id) == form(wanted)]
            if len(matching) == 1:
                return matching[0]
        return self._by_id.get(AgentId(wanted))
