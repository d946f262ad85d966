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
        id: The id by which ``!agent`` and the records of rooms name the agent.
        name: The display name of the agent.
        kind: The name of the ``AgentApi`` implementation that connects to the agent.
        description: One sentence about the agent for ``!agents``; may be empty.
        options: The settings of this kind of agent.
        first_seconds: Timeout for the first piece of an answer, in seconds; None: the timeout for
            the whole answer applies.
        answer_seconds: Timeout for a whole answer, in seconds; None: the config's default.
        at_a_time: The maximum number of questions that the agent gets at the same time.
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
    """Whether an agent can be reached. The value is the text for people, still to be translated."""

    REACHABLE = sentence("reachable")
    UNREACHABLE = sentence("can't be reached right now")


class Registry:
    """Finds the agents of the config, and remembers in which condition each was last found.

    Iterating yields the agents in the config's order. Lookups return None instead of raising.

    Args:
        entries: The agents in the config's order.
    """

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
        """Return the agent with this id; None if there is none or ``agent_id`` is None."""
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
        """Find the agent that a person has chosen.

        Args:
            choice: The person's text: the agent's number in the config, from 1, or its id. Upper
                and lower case are the same. Punctuation around the id is ignored if no id is equal
                to the text with the punctuation.

        Returns:
            The agent; None if the text names no agent, or more than one.
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
