"""Commands about the bot itself: help, status, cancel; and replies to unknown input."""

from collections.abc import Callable, Iterable
from datetime import datetime
from difflib import get_close_matches

from attrs import frozen

from durable.records import ARCHIVED, GONE, RoomRecord, UserRecord, room_key, user_key
from fsm import ANY, STAY, Command, Event, EventKind, Flow, Registry, Scope, State, Turn, on
from fsm.effects import Reply
from fsm.turn import bot_records
from fsm.values.ids import AgentId
from fsm.values.inbound import UnsupportedMessage
from fsm.values.text import compared
from fsm.values.translation import sentence
from strandline.flows.languages import LANGUAGES

HELP = (
    ("help", "", sentence("show this list")),
    ("new", sentence("[NAME]"), sentence("start a new chat room with your agent")),
    ("chats", "", sentence("list your chats")),
    ("rename", sentence("NAME"), sentence("rename this chat")),
    ("archive", "", sentence("archive this chat (asks first)")),
    ("load", sentence("[NUMBER]"), sentence("restore an archived chat")),
    ("agents", "", sentence("list the agents")),
    ("agent", sentence("NUMBER or ID"), sentence("select an agent for your new rooms")),
    (
        "rebind",
        sentence("AGENT"),
        sentence("start a new chat with another agent in this room (asks first)"),
    ),
    (
        "files",
        sentence("[clear | drop NUMBER]"),
        sentence("list the files that wait for your message"),
    ),
    ("status", "", sentence("show this room's agent and my last restart")),
    ("yes", "", sentence("answer yes to my question")),
    ("no", "", sentence("answer no to my question")),
    ("cancel", "", sentence("cancel what is pending")),
    ("stop", "", sentence("stop the answer that is being written")),
    ("retry", "", sentence("ask the agent your last question again")),
    ("repair", "", sentence("recreate missing rooms in your Space")),
    ("language", " | ".join(LANGUAGES), sentence("choose the language I use with you")),
    ("forget-me", "", sentence("delete what I store about you (asks first)")),
)
"""Each command with its arguments and help text; only those that a flow answers are listed."""


@frozen
class CancelDone:
    """The signal that is triggered after all signals to drop what is pending were delivered."""


class Service(Flow):
    """Answer commands about the bot itself, and unknown commands. The flow has only one state.

    ``!cancel`` is a command of this flow, so that one command drops what is pending in all flows.
    Each flow in which something may be pending has a signal for that, and tells the user what the
    flow has dropped.

    Args:
        registry: The agents.
        commands: The names of the other flows' commands, for ``!help`` and for suggestions.
        further: The classes of the flows of installed distributions and the config. ``!help`` lists
            those of their commands that have a help text.
        cancellable: The signals that make other flows drop what is pending.
        started_at: When this process run started.
        is_addressed: Called with a turn, returns whether its event is addressed to the bot.
    """

    scope = Scope.MEMBER

    idle = State(initial=True)

    show_help = Event(idle, STAY, command="help")
    show_status = Event(idle, STAY, command="status")

    cancel_all = Event(idle, STAY, command="cancel")
    cancelled = Event(idle, STAY, on=CancelDone)
    cancelled_nothing = Event(idle, STAY, on=CancelDone)
    stop = Event(idle, STAY, command="stop")
    answer_nothing = Event(idle, STAY, command=("yes", "no"))
    misunderstand = Event(idle, STAY, command=ANY)
    fail_to_read = Event(idle, STAY, on=EventKind.UNREADABLE)

    explain = Event(idle, STAY, on=EventKind.OTHER)

    @cancelled.guard
    def has_said(self, turn: Turn) -> bool:
        """Whether a flow has already said in this turn what it dropped."""
        return any(isinstance(effect, Reply) for effect in turn.effects)

    @explain.guard
    def is_for_us(self, turn: Turn) -> bool:
        """Whether the event is addressed to the bot."""
        return self._is_addressed(turn)

    def __init__(  # noqa: PLR0913  # each is shown separately
        self,
        registry: Registry,
        *,
        commands: Iterable[str],
        further: Iterable[type[Flow]] = (),
        cancellable: Iterable[object],
        started_at: datetime,
        is_addressed: Callable[[Turn], bool] = lambda _: True,
    ) -> None:
        self._is_addressed = is_addressed
        self._registry = registry
        self._cancellable = tuple(cancellable)
        self._commands = sorted({*commands, *self.commands()} - {ANY})
        self._started_at = started_at
        self._further = [
            (event.command[0], event.arguments, event.help)
            for flow in further
            for event in flow.events.values()
            if event.help and event.command
        ]

    @on(show_help)
    def help(self, turn: Turn) -> None:
        """List the commands."""
        lines = [
            f"- `{turn.prefix}{' '.join(filter(None, (name, turn.gettext(arguments))))}`: "
            f"{turn.gettext(meaning)}"
            for name, arguments, meaning in HELP
            if name in self._commands
        ]
        lines += [
            f"- `{turn.prefix}{' '.join(filter(None, (name, arguments)))}`: {meaning}"
            for name, arguments, meaning in self._further
        ]
        turn.reply(
            turn.gettext(
                "Write a message, and this room's agent answers. Commands:\n\n{commands}",
                commands="\n".join(lines),
            )
        )

    @on(show_status)
    async def status(self, turn: Turn) -> None:
        """Tell the sender the room's agent, the sender's selected agent, and the last restart."""
        user = await bot_records(turn).read(UserRecord, user_key(turn.inbound.sender))
        room = await bot_records(turn).read(RoomRecord, room_key(turn.room_id))
        restarted = turn.gettext(
            "I last restarted at {moment}.", moment=turn.translator.moment(self._started_at)
        )
        lines = (self._room(turn, room), self._user(turn, user), restarted)
        turn.reply("\n".join(f"- {line}" for line in lines))

    @on(cancel_all)
    def drop_what_is_pending(self, turn: Turn) -> None:
        """Trigger the signals that make each flow drop what is pending, then ``CancelDone``."""
        for signal in self._cancellable:
            turn.trigger(signal)
        turn.trigger(CancelDone())

    @on(cancelled_nothing)
    def nothing_pending(self, turn: Turn) -> None:
        """Tell the sender that nothing was pending."""
        turn.reply(turn.gettext("Nothing is pending here, so there is nothing to cancel."))

    @on(stop)
    def acknowledge_stop(self, turn: Turn) -> None:
        """Tell the sender whether an answer was stopped.

        The engine stopped the answer before this turn. ``inbound.about`` is the question of the
        answer, or None if no answer was in progress.
        """
        if turn.inbound.about is not None:
            turn.reply(turn.gettext("OK, I stopped. The part already shown stays."))
        else:
            turn.reply(turn.gettext("No answer is in progress, so there is nothing to stop."))

    @on(answer_nothing)
    def no_question(self, turn: Turn) -> None:
        """Tell the sender that there is no open question to answer."""
        turn.reply(
            turn.gettext(
                "I have no open question for you here. Questions expire after a while, and "
                "when I restart (last restart: {moment}). Nothing was changed; if you still "
                "want it, send the command again.",
                moment=turn.translator.moment(self._started_at),
            )
        )

    @on(misunderstand)
    def hint(self, turn: Turn) -> None:
        """Tell the sender that the command is unknown or has no effect now.

        For an unknown command, suggest the most similar one, if there is one.
        """
        name = turn.stimulus.name if isinstance(turn.stimulus, Command) else ""
        near = get_close_matches(name, self._commands, n=1)
        given = f"`{turn.prefix}{name[:40].replace('`', '')}`"
        listing = f"`{turn.prefix}help`"
        if name in map(compared, self._commands):
            answer_text = turn.gettext(
                "{command} has no effect here right now. {help} lists my commands.",
                command=given,
                help=listing,
            )
        elif near:
            answer_text = turn.gettext(
                "I don't know {command}. Did you mean {near}? {help} lists my commands.",
                command=given,
                near=f"`{turn.prefix}{near[0]}`",
                help=listing,
            )
        else:
            answer_text = turn.gettext(
                "I don't know {command}. {help} lists my commands.", command=given, help=listing
            )
        turn.reply(answer_text)

    @on(fail_to_read)
    def ask_to_resend(self, turn: Turn) -> None:
        """Ask the sender to send an encrypted message again, because its key did not arrive."""
        turn.reply(
            turn.gettext(
                "I couldn't decrypt this message: its key didn't reach me. Please send it again."
            )
        )

    @on(explain)
    def ask_for_words(self, turn: Turn) -> None:
        """Ask the sender for a text instead, because no flow handles this type of message."""
        answer_text = {
            "sticker": turn.gettext("I can't read stickers. Please write it in words."),
            "poll": turn.gettext("I can't take part in polls. Please write it in words."),
            "location": turn.gettext("I can't read locations. Please write it in words."),
        }
        unknown = turn.gettext("I can't read this kind of message. Please write it in words.")
        turn.reply(answer_text.get(UnsupportedMessage.of(turn.inbound).content_type, unknown))

    def _room(self, turn: Turn, room: RoomRecord | None) -> str:
        if room is None or room.agent_id is None or room.platform_chat_id is None:
            return turn.gettext(
                "This room: not bound yet; your next message binds it to your agent."
            )
        bound = {"agent": self._agent(turn, room.agent_id), "number": room.platform_chat_id}
        if room.room_type in (ARCHIVED, GONE):
            return turn.gettext(
                "This room: archived; it was bound to {agent}, platform chat {number}.",
                **bound,
            )
        return turn.gettext("This room: {agent}, platform chat {number}.", **bound)

    def _user(self, turn: Turn, user: UserRecord | None) -> str:
        if user is None or user.selected_agent_id is None:
            return turn.gettext(
                "You: no agent selected; {agents} lists them.",
                agents=f"`{turn.prefix}agents`",
            )
        agent = self._agent(turn, user.selected_agent_id)
        return turn.gettext("You: {agent} is selected.", agent=agent)

    def _agent(self, turn: Turn, agent_id: AgentId) -> str:
        agent = self._registry.get(agent_id)
        if agent is None:
            return turn.gettext("`{agent}` (not available)", agent=agent_id)
        return f"**{agent.name}** (`{agent_id}`)"
