"""The bot's texts about a room: which agent answers, or why none does."""

from durable.flows.user_routing import agent_list
from durable.records import ARCHIVED, SPACE, RoomRecord, UserRecord
from fsm import AgentEntry, Command, Registry, Turn
from fsm.values.inbound import EffectRefused, RoomFailed
from fsm.values.text import as_typed


def greeting(
    turn: Turn, registry: Registry, room: RoomRecord, *, owner: UserRecord | None, is_bound: bool
) -> str:
    """Return the greeting for the room: which agent answers, or how to choose one.

    Args:
        turn: The turn, which translates the text.
        registry: The agents.
        room: The record of the room.
        owner: The record of the room's owner; None if there is none.
        is_bound: Whether the room is bound to an agent in the config.
    """
    return turn.gettext(
        "Hello! I connect this room to an AI agent. `{prefix}help` lists what I can do.\n\n{next}",
        prefix=turn.prefix,
        next=_next_step(turn, registry, room, owner=owner, is_bound=is_bound),
    )


def binding(turn: Turn, registry: Registry, room: RoomRecord) -> str:
    """Return a sentence that names the agent and the platform chat of a bound room."""
    agent = registry.get(room.agent_id)
    return turn.gettext(
        "This room is bound to {agent}, platform chat {number}.",
        agent=_named(agent) if agent else f"`{room.agent_id}`",
        number=room.platform_chat_id,
    )


def no_agent(turn: Turn, registry: Registry, user: UserRecord | None, lost: str | None) -> str:
    """Return the reply to a message in a room without an agent: how to choose one.

    Args:
        turn: The turn, which translates the text.
        registry: The agents.
        user: The record of the sender; None if there is none.
        lost: The id of the room's or sender's agent, which is not in the config any more; None if
            none was chosen.
    """
    agents = agent_list(turn, registry, user)
    if lost is None:
        return turn.gettext(
            "No agent is selected. Choose one, and I'll pass your message on.\n\n{agents}",
            agents=agents,
        )
    return turn.gettext(
        "Agent `{id}` is no longer available. Choose another, and I'll pass your message "
        "on.\n\n{agents}",
        id=lost,
        agents=agents,
    )


def no_chat(turn: Turn, room: RoomRecord | None) -> str:
    """Return the reply that says why the room has no chat, and what to do.

    Args:
        turn: The turn that replies.
        room: The room's record; None if it has none.
    """
    room_type = room.room_type if room is not None else None
    if room_type == SPACE:
        return turn.gettext(
            "This room is a Space, which has no chat of its own. Send the command in a chat, or "
            "`{prefix}new` to start one.",
            prefix=turn.prefix,
        )
    if room_type == ARCHIVED:
        return turn.gettext(
            "This chat is archived. `{prefix}load` restores it; `{prefix}new` starts a new chat.",
            prefix=turn.prefix,
        )
    return turn.gettext("There is no chat in this room yet. Write something to start one.")


def owners_only(turn: Turn, room: RoomRecord) -> str:
    """The reply to a command that only the owner may use."""
    command = turn.stimulus.name if isinstance(turn.stimulus, Command) else ""
    owner = as_typed(room.matrix_user_id)
    if command == "archive":
        return turn.gettext("Only {user} can archive this chat.", user=owner)
    if command == "rename":
        return turn.gettext("Only {user} can rename this chat.", user=owner)
    return turn.gettext("Only {user} can choose who answers here.", user=owner)


def choice_meaning(
    turn: Turn, registry: Registry, agent: AgentEntry, room: RoomRecord | None, *, state: str
) -> str:
    """Return a message that tells the sender what their selection changes in this room.

    Args:
        turn: The turn, which translates the text.
        registry: The agents.
        agent: The agent that the sender has selected.
        room: The room's record; None if there is none.
        state: The name of the room's state in ``RoomRouting``. Any other text stands for a room in
            which the selection changes nothing.
    """
    match state:
        case "archived":
            return turn.gettext(
                "You selected **{name}** (`{id}`). The chat in this room is archived, so "
                "nothing changes here.",
                name=agent.name,
                id=agent.id,
            )
        case "bound" if room is not None and room.agent_id != agent.id:
            return turn.gettext(
                "You selected **{name}** (`{id}`). {binding} That doesn't change; your next "
                "new room will use your selection.",
                name=agent.name,
                id=agent.id,
                binding=binding(turn, registry, room),
            )
        case "bound":
            return turn.gettext(
                "You selected **{name}** (`{id}`). This room is already bound to it.",
                name=agent.name,
                id=agent.id,
            )
        case "idle" | "unbound":
            return turn.gettext(
                "You selected **{name}** (`{id}`). Just write; it answers here.",
                name=agent.name,
                id=agent.id,
            )
    return turn.gettext(
        "You selected **{name}** (`{id}`). It will answer in your new chats.",
        name=agent.name,
        id=agent.id,
    )


def problem_of(refusal: EffectRefused | RoomFailed) -> str:
    """Return the homeserver's reason for a refusal: one line of at most 300 characters, escaped."""
    said = " ".join(refusal.problem.split())[:300].rstrip(".")
    return as_typed(said)


def _next_step(
    turn: Turn, registry: Registry, room: RoomRecord, *, owner: UserRecord | None, is_bound: bool
) -> str:
    if room.room_type == ARCHIVED:
        return no_chat(turn, room)
    if is_bound:
        return binding(turn, registry, room)
    agent = registry.get(owner.selected_agent_id if owner else None) or registry.only
    if agent is None:
        return agent_list(turn, registry, owner)
    return turn.gettext("{agent} is selected. Just write.", agent=_named(agent))


def _named(agent: AgentEntry) -> str:
    return f"**{agent.name}** (`{agent.id}`)"
