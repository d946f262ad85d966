"""The flow by which a user selects an agent. The selection survives a restart."""

from attrs import evolve

from durable.flows.signals import AgentChosen, MeetUser
from durable.records import UserRecord
from fsm import STAY, AgentEntry, Event, Flow, Registry, Scope, State, Turn, durable, on
from fsm.kept_record import KeptAsRecord
from fsm.values.text import as_typed


class UserRouting(KeptAsRecord, Flow):
    """Select the agent for a user's new chats: user → agent.

    Args:
        registry: The agents.
    """

    scope = Scope.USER
    name = "user"
    kept_as = "matrix_user"

    idle = State(initial=True)
    undecided = State(durable, record=UserRecord)
    selected = State(durable, record=UserRecord)

    met_with_one_agent = Event((idle, undecided), selected, on=MeetUser)
    met = Event(idle, undecided, on=MeetUser)
    met_again = Event((undecided, selected), STAY, on=MeetUser)
    choice = Event((idle, undecided, selected), selected, command="agent")
    misname = Event((idle, undecided, selected), STAY, command="agent")
    list_agents = Event((idle, undecided, selected), STAY, command="agents")
    forget = Event((undecided, selected), idle)

    @met_with_one_agent.guard
    def has_one_agent(self, _turn: Turn) -> bool:
        """Whether the config has exactly one agent."""
        return self._registry.only is not None

    @choice.guard
    def names_an_agent(self, turn: Turn) -> bool:
        """Whether the command's argument is an agent's id or number."""
        return self._registry.find(turn.argument) is not None

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def state_of(self, record: UserRecord) -> State:
        """Return ``selected`` if the user's agent is in the config, else ``undecided``."""
        return self.selected if record.selected_agent_id in self._registry else self.undecided

    @on(met_with_one_agent)
    def select_the_only_agent(self, _turn: Turn, user: UserRecord | None) -> UserRecord:
        """Select the only agent without asking."""
        only = self._registry.only
        return evolve(user or UserRecord(), selected_agent_id=only.id if only else None)

    @on(met)
    def begin(self, _turn: Turn) -> UserRecord:
        """Store a record for the user, without a selected agent."""
        return UserRecord()

    @on(choice)
    def select(self, turn: Turn, user: UserRecord | None) -> UserRecord:
        """Store the agent that the command names as the user's selection.

        The signal ``AgentChosen`` makes ``RoomRouting`` tell the user what the selection changes
        in this room.
        """
        agent = self._registry.find(turn.argument)
        assert agent is not None  # noqa: S101  # the guard found it
        turn.trigger(AgentChosen(agent))
        return evolve(user or UserRecord(), selected_agent_id=agent.id)

    @on(misname)
    def explain_choice(self, turn: Turn, user: UserRecord | None) -> None:
        """Reply with the agents and how to choose one. Quote an unknown name in the command."""
        agents = agent_list(turn, self._registry, user)
        if turn.argument:
            agents = no_such_agent(turn, agents)
        turn.reply(agents)

    @on(list_agents)
    def show_agents(self, turn: Turn, user: UserRecord | None) -> None:
        """Reply with the list of all agents, in which the user's selection is marked."""
        turn.reply(agent_list(turn, self._registry, user))


def agent_list(turn: Turn, registry: Registry, user: UserRecord | None) -> str:
    """Return the agents as a numbered Markdown list, with the command that selects one.

    Args:
        turn: The turn, which translates the text.
        registry: The agents.
        user: The record of the user, whose selected agent is marked; None if there is no record.
    """
    selected = user.selected_agent_id if user else None
    lines = [
        turn.gettext(
            "{number}. {agent} ← selected", number=number, agent=_line(turn, registry, agent)
        )
        if agent.id == selected
        else f"{number}. {_line(turn, registry, agent)}"
        for number, agent in enumerate(registry, start=1)
    ]
    return turn.gettext(
        "Agents:\n\n{list}\n\nChoose one with `{prefix}agent NUMBER`.",
        list="\n".join(lines),
        prefix=turn.prefix,
    )


def no_such_agent(turn: Turn, agents: str) -> str:
    """Return a message that the command's argument names no agent, followed by ``agents``."""
    return turn.gettext(
        "There is no agent “{name}”.\n\n{agents}", name=as_typed(turn.argument[:60]), agents=agents
    )


def _line(turn: Turn, registry: Registry, agent: AgentEntry) -> str:
    condition = registry.condition(agent.id)
    named = f"**{agent.name}** (`{agent.id}`)"
    named += f": {agent.description}" if agent.description else ""
    return f"{named} · {turn.gettext(condition.value)}" if condition is not None else named
