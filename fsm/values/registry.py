"""The registry of agents in the config: values only, no connections."""

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
        id: The id for ``!agent`` and for the bindings of rooms.
        name: Its display name.
        kind: The name of its ``AgentApi`` implementation.
        description: One sentence for ``!agents``; may be empty.
        options: The kind's own settings.
        first_seconds: Timeout for the first piece of an answer; None: only ``answer_seconds``
            counts.
        answer_seconds: Timeout for a whole answer; None for the config's default.
        at_a_time: The maximum number of concurrent questions.
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
    """The current condition of an agent as far as it is known, and its text for people."""

    REACHABLE = sentence("reachable")
    UNREACHABLE = sentence("can't be reached right now")


class Registry:
    """The agents in the config's order, with their conditions. Lookups never raise."""

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
        """Record the condition in which the agent was found. It is lost at a restart."""
        self._conditions[agent_id] = condition

    def condition(self, agent_id: AgentId) -> Condition | None:
        """The condition of the agent when it was last used or probed; None if it never was."""
        return self._conditions.get(agent_id)

    @property
    def only(self) -> AgentEntry | None:
        """The agent, if there is only one; else None."""
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
