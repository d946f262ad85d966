"""Messages that are held until their sender chooses an agent.

Lost at a restart: the held messages. That is fine: the bot has replied to each message by asking
which agent to use, and the sender can choose an agent and send the message again.
"""

from datetime import timedelta

from attrs import evolve, frozen

from fsm import STAY, Event, EventKind, Flow, Inbound, Scope, State, Turn, ephemeral, minutes, on
from fsm.values.signals import Hold, Release

MOST = 20
"""The maximum number of held messages of one user in one room; beyond it, the oldest is dropped."""


@frozen
class Waiting:
    """The held messages of one user in one room.

    Args:
        messages: For each message, oldest first, its inbound event and its attempt: how often the
            event was reopened before.
    """

    messages: tuple[tuple[Inbound, int], ...] = ()

    def without_taken_back(self, turn: Turn) -> "Waiting":
        """Return the held messages without the one that the turn's event redacts, if any."""
        about = turn.inbound.about
        return Waiting(tuple(m for m in self.messages if m[0].event_id != about))


@frozen
class CancelHeld:
    """The signal to drop the held messages, if there are any."""


class Held(Flow):
    """Hold messages that were sent before an agent was chosen."""

    scope = Scope.MEMBER

    idle = State(initial=True)
    holding = State(
        ephemeral,
        memory=Waiting,
        expires=minutes(10),
        lost="the bot has asked which agent to use; the message must be sent again",
    )

    hold = Event((idle, holding), holding, on=Hold)
    release = Event(holding, idle, on=Release)
    release_nothing = Event(idle, STAY, on=Release)
    take_back_last = Event(holding, idle, on=EventKind.REDACTED)
    take_back = Event(holding, STAY, on=EventKind.REDACTED)
    lapse = Event(holding, idle, on_expiry=True)
    cancel = Event(holding, idle, on=CancelHeld)
    cancel_nothing = Event(idle, STAY, on=CancelHeld)

    @take_back.guard
    def takes_back_one(self, turn: Turn) -> bool:
        """Return whether the turn's event redacts a held message."""
        held = turn.data
        return isinstance(held, Waiting) and held.without_taken_back(turn) != held

    @take_back_last.guard
    def takes_back_the_last(self, turn: Turn) -> bool:
        """Return whether the turn's event redacts the only held message."""
        held = turn.data
        return self.takes_back_one(turn) and isinstance(held, Waiting) and len(held.messages) == 1

    def __init__(self, *, lifetime: timedelta) -> None:
        self._lifetime = lifetime

    def lifetime(self, _state: State) -> timedelta:
        """Return how long messages are held, from the config."""
        return self._lifetime

    @on(hold)
    def keep(self, turn: Turn, waiting: Waiting | None) -> Waiting:
        """Add the turn's message, with its files, to the held messages."""
        said = turn.signal(Hold).said
        inbound = turn.inbound
        if said is not None:
            inbound = evolve(inbound, attachments=said.attachments)
        waiting = waiting or Waiting()
        return Waiting((*waiting.messages, (inbound, turn.attempt))[-MOST:])

    @on(release)
    def pass_on(self, turn: Turn, waiting: Waiting) -> None:
        """Handle each held message again, now that there is an agent."""
        for inbound, attempt in waiting.messages:
            turn.reopen(inbound, attempt + 1)

    @on(take_back)
    def let_go(self, turn: Turn, waiting: Waiting) -> Waiting:
        """Drop the message that its sender has redacted."""
        return waiting.without_taken_back(turn)

    @on(lapse)
    def give_up(self, turn: Turn, waiting: Waiting) -> None:
        """Tell the sender that the held messages have expired."""
        turn.say(
            turn.ngettext(
                "No agent was chosen in time, so I dropped {count} waiting message. Choose an "
                "agent with `{prefix}agents` and send it again.",
                "No agent was chosen in time, so I dropped {count} waiting messages. Choose an "
                "agent with `{prefix}agents` and send them again.",
                len(waiting.messages),
                prefix=turn.prefix,
            )
        )

    @on(cancel)
    def forget(self, turn: Turn, waiting: Waiting) -> None:
        """Drop all held messages, and tell the sender."""
        turn.reply(
            turn.ngettext(
                "OK, I won't pass your message on.",
                "OK, I won't pass your {count} messages on.",
                len(waiting.messages),
            )
        )
