"""Messages that wait for their sender to choose an agent.

Lost at a restart: the messages that wait. That is fine: each was answered with the question which
agent it is for, and once one is chosen the message can be sent again.
"""

from datetime import timedelta

from attrs import evolve, frozen

from fsm import STAY, Event, Flow, Inbound, Scope, State, Turn, ephemeral, minutes, on

MOST = 20
"""So many messages wait for one user in one room; with more, the oldest is dropped."""


@frozen
class Waiting:
    """Messages in the order in which they came, each with the number of its attempt."""

    messages: tuple[tuple[Inbound, int], ...] = ()


class Held(Flow):
    """Keep what was written before there was an agent to read it."""

    scope = Scope.MEMBER

    idle = State(initial=True)
    holding = State(ephemeral, memory=Waiting, expires=minutes(10))

    hold = Event((idle, holding), holding)
    release = Event(holding, idle)
    release_nothing = Event(idle, STAY, signal="release")
    drop = Event(holding, idle, command="cancel")

    def __init__(self, *, lifetime: timedelta) -> None:
        self._lifetime = lifetime

    def lifetime(self, _state: State) -> timedelta:
        """As long as the config says."""
        return self._lifetime

    @on(hold)
    def keep(self, turn: Turn, waiting: Waiting | None) -> Waiting:
        """Add the message of this turn."""
        waiting = waiting or Waiting()
        return evolve(waiting, messages=(*waiting.messages, (turn.inbound, turn.attempt))[-MOST:])

    @on(release)
    def pass_on(self, turn: Turn, waiting: Waiting) -> None:
        """Have each message handled once more, now that there is an agent."""
        for inbound, attempt in waiting.messages:
            turn.reopen(inbound, attempt + 1)

    @on(drop)
    def forget(self, turn: Turn, _waiting: Waiting) -> None:
        """Drop what waits."""
        turn.reply("All right, I won't pass your message on.")
