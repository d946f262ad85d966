"""Confirmation before what can't be undone.

Lost at a restart: the pending question. That is fine: nothing was done yet, a late answer gets a
sentence that says so, and the question is asked again with one command.
"""

from datetime import datetime, timedelta

from attrs import frozen

from fsm import STAY, Event, Flow, Scope, Signal, State, Turn, ephemeral, minutes, on
from fsm.questions import Question


@frozen
class Pending:
    """A question that waits for its answer.

    Args:
        then: The event that a yes triggers.
    """

    then: Signal


class Confirmation(Flow):
    """Ask before an action that can't be undone."""

    scope = Scope.MEMBER

    idle = State(initial=True)
    awaiting = State(ephemeral, memory=Pending, expires=minutes(5))

    ask = Event((idle, awaiting), awaiting)
    yes = Event(awaiting, idle, command="yes")
    no = Event(awaiting, idle, command=("no", "cancel"))
    answer_nothing = Event(idle, STAY, command=("yes", "no"))

    def __init__(self, *, lifetime: timedelta, started_at: datetime) -> None:
        self._lifetime = lifetime
        self._started_at = started_at

    def lifetime(self, _state: State) -> timedelta:
        """As long as the config says."""
        return self._lifetime

    @on(ask)
    def put_question(self, turn: Turn, replaced: Pending | None) -> Pending:
        """Ask, and remember what a yes means."""
        question = turn.payload
        assert isinstance(question, Question)  # noqa: S101  # what the asking flow sends
        note = "This replaces the question that was open.\n\n" if replaced else ""
        answer = f"`{turn.prefix}yes` or `{turn.prefix}no`, within {_spoken(self._lifetime)}."
        turn.reply(f"{note}{question.text} {answer}")
        return Pending(then=question.then)

    @on(yes)
    def carry_out(self, turn: Turn, pending: Pending) -> None:
        """Do what was asked about."""
        turn.trigger(pending.then.flow, pending.then.event, pending.then.payload)

    @on(no)
    def leave_it(self, turn: Turn, _pending: Pending) -> None:
        """Do nothing."""
        turn.reply("All right, nothing has been changed.")

    @on(answer_nothing)
    def explain(self, turn: Turn, _data: None) -> None:
        """An answer with no question: say what may have become of it."""
        turn.reply(
            "No question of mine is waiting for an answer from you here. Questions lapse after "
            f"{_spoken(self._lifetime)} and when I restart, which I last did at "
            f"{self._started_at:%Y-%m-%d %H:%M:%S} UTC. Nothing was changed; "
            "give the command again if you still want it."
        )


def _spoken(duration: timedelta) -> str:
    seconds = round(duration.total_seconds())
    if seconds % 60:
        return f"{seconds} second{'' if seconds == 1 else 's'}"
    return f"{seconds // 60} minute{'' if seconds == 60 else 's'}"  # noqa: PLR2004
