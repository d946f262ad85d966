"""Commands about the bot itself: help, status, and what to say when nothing else answers."""

from collections.abc import Iterable
from datetime import datetime
from difflib import get_close_matches

from durable.records import RoomRecord, UserRecord, room_key, user_key
from ephemeral.words import moment
from fsm import ANY, STAY, Command, Event, Flow, Kind, Registry, Scope, State, Turn, on
from fsm.effects import Reply
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
    """What the bot says of itself. It has nothing to remember.

    ``!cancel`` is its command, so that one word drops all that is pending, whichever flows it is
    pending in: each flow that has something to drop has an event ``cancel``, which says what was
    dropped, and answers the same signal in silence at idle.

    Args:
        registry: The agents.
        commands: What the other flows answer to, for hints at what was meant.
        cancellable: The flows that have an event ``cancel``.
        started_at: When this life of the process began.
    """

    scope = Scope.MEMBER

    idle = State(initial=True)

    show_help = Event(idle, STAY, command="help")
    show_status = Event(idle, STAY, command="status")

    def has_said(self, turn: Turn) -> bool:
        """A flow of this turn has said what it dropped."""
        return any(isinstance(effect, Reply) for effect in turn.effects)

    cancel_all = Event(idle, STAY, command="cancel")
    cancelled = Event(idle, STAY, signal="conclude", guard=has_said)
    cancelled_nothing = Event(idle, STAY, signal="conclude")
    answer_nothing = Event(idle, STAY, command=("yes", "no"))
    misunderstand = Event(idle, STAY, command=ANY)
    fail_to_read = Event(idle, STAY, kind=Kind.UNREADABLE)

    def __init__(
        self,
        registry: Registry,
        *,
        commands: Iterable[str],
        cancellable: Iterable[str],
        started_at: datetime,
    ) -> None:
        self._registry = registry
        self._cancellable = tuple(cancellable)
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

    @on(cancel_all)
    def drop_what_is_pending(self, turn: Turn, _data: None) -> None:
        """Have each flow drop what it has, then see whether any had something."""
        for flow in self._cancellable:
            turn.trigger(flow, "cancel")
        turn.trigger(self.name, "conclude")

    @on(cancelled_nothing)
    def nothing_pending(self, turn: Turn, _data: None) -> None:
        """Nothing was pending."""
        turn.reply(turn.t("Nothing is pending here, so there is nothing to cancel."))

    @on(answer_nothing)
    def no_question(self, turn: Turn, _data: None) -> None:
        """An answer with no question: say what may have become of it."""
        turn.reply(
            turn.t(
                "No question of mine is waiting for an answer from you here. Questions lapse "
                "after a while and when I restart, which I last did at {moment}. Nothing was "
                "changed; give the command again if you still want it.",
                moment=moment(self._started_at),
            )
        )

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
