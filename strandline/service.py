"""Commands about the bot itself: help, status, and what to say when nothing else answers."""

from collections.abc import Iterable
from datetime import datetime
from difflib import get_close_matches

from durable.records import RoomRecord, UserRecord, room_key, user_key
from fsm import ANY, STAY, Command, Event, Flow, Kind, Registry, Scope, State, Turn, on
from fsm.ids import AgentId

HELP = (
    ("help", "this list"),
    ("agents", "the agents you can choose from"),
    ("agent NUMBER or ID", "select an agent for your new rooms"),
    ("status", "which agent this room talks to, and when I last restarted"),
    ("archive", "close this room's chat, after a question"),
    ("yes` or `{prefix}no", "answer that question"),
    ("cancel", "drop what is pending"),
)


class Service(Flow):
    """What the bot says of itself. It has nothing to remember."""

    scope = Scope.MEMBER

    idle = State(initial=True)

    show_help = Event(idle, STAY, command="help")
    show_status = Event(idle, STAY, command="status")
    cancel_nothing = Event(idle, STAY, command="cancel")
    misunderstand = Event(idle, STAY, command=ANY)
    fail_to_read = Event(idle, STAY, kind=Kind.UNREADABLE)

    def __init__(
        self, registry: Registry, *, commands: Iterable[str], started_at: datetime
    ) -> None:
        self._registry = registry
        self._commands = sorted({*commands, *self.commands()} - {ANY})
        self._started_at = started_at

    @on(show_help)
    def help(self, turn: Turn, _data: None) -> None:
        """List the commands."""
        prefix = turn.prefix
        lines = [f"- `{prefix}{c.format(prefix=prefix)}`: {meaning}" for c, meaning in HELP]
        turn.reply(
            "Write something, and this room's agent answers. Commands:\n\n" + "\n".join(lines)
        )

    @on(show_status)
    def status(self, turn: Turn, _data: None) -> None:
        """Say where messages of this user in this room go."""
        user = turn.records.find(UserRecord, user_key(turn.inbound.sender))
        room = turn.records.find(RoomRecord, room_key(turn.room_id))
        turn.reply(
            f"- This room: {self._room(room)}\n"
            f"- You: {self._user(user, turn.prefix)}\n"
            f"- I last restarted at {self._started_at:%Y-%m-%d %H:%M:%S} UTC."
        )

    @on(cancel_nothing)
    def nothing_pending(self, turn: Turn, _data: None) -> None:
        """Nothing was pending."""
        turn.reply("Nothing is pending here, so there is nothing to cancel.")

    @on(misunderstand)
    def hint(self, turn: Turn, _data: None) -> None:
        """Name the nearest command."""
        name = turn.stimulus.name if isinstance(turn.stimulus, Command) else ""
        near = get_close_matches(name, self._commands, n=1)
        hint = f"Did you mean `{turn.prefix}{near[0]}`? " if near else ""
        turn.reply(
            f"I don't know `{turn.prefix}{name[:40].replace('`', '')}`. {hint}"
            f"`{turn.prefix}help` lists my commands."
        )

    @on(fail_to_read)
    def ask_to_resend(self, turn: Turn, _data: None) -> None:
        """The key for an encrypted message did not come."""
        turn.reply("I couldn't decrypt this message: its key didn't reach me. Please resend it.")

    def _room(self, room: RoomRecord | None) -> str:
        if room is None or room.agent_id is None or room.platform_chat_id is None:
            return "not bound yet; your next message binds it to your agent"
        bound = f"{self._agent(room.agent_id)}, platform chat {room.platform_chat_id}"
        return f"archived; it was bound to {bound}" if room.room_type != "chat" else bound

    def _user(self, user: UserRecord | None, prefix: str) -> str:
        if user is None or user.selected_agent_id is None:
            return f"no agent selected; `{prefix}agents` lists them"
        return f"{self._agent(user.selected_agent_id)} is selected"

    def _agent(self, agent_id: AgentId) -> str:
        agent = self._registry.get(agent_id)
        return f"**{agent.name}** (`{agent_id}`)" if agent else f"`{agent_id}` (not available)"
