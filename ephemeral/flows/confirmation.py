"""Confirmation of actions that can't be undone.

Lost at a restart: the pending question. That is fine: nothing was done yet, a late answer gets a
reply that says so, and the user can send the command again.
"""

from datetime import datetime, timedelta

from attrs import frozen

from ephemeral.flows.open_prompt import NO, YES, OpenPrompt, is_of_another_life
from fsm import STAY, Event, Flow, Scope, State, Turn, ephemeral, minutes, on
from fsm.values.messages import Question, Triggered


@frozen
class Pending:
    """A question that waits for its answer.

    Args:
        then: The signal that the answer yes triggers.
        otherwise: The signal that the answer no or the expiry triggers; None for no signal.
        asked: The prompt with the question.
    """

    then: Triggered
    otherwise: Triggered | None
    asked: OpenPrompt


@frozen
class CancelConfirmation:
    """The signal to close the open question, if there is one."""


class Confirmation(Flow):
    """Ask the user to confirm an action that can't be undone."""

    scope = Scope.MEMBER

    idle = State(initial=True)
    awaiting = State(
        ephemeral,
        memory=Pending,
        expires=minutes(5),
        lost="nothing was changed; a late answer gets an explanation",
    )

    ask = Event((idle, awaiting), awaiting, on=Question)
    yes = Event(awaiting, idle, command="yes", reaction="✅", reply=YES)
    no = Event(awaiting, idle, command="no", reaction="❌", reply=NO)
    answer_late = Event((idle, awaiting), STAY, reaction=("✅", "❌"), reply=YES + NO)
    lapse = Event(awaiting, idle, on_expiry=True)
    cancel = Event(awaiting, idle, on=CancelConfirmation)
    cancel_nothing = Event(idle, STAY, on=CancelConfirmation)

    @yes.guard
    @no.guard
    def is_pending(self, turn: Turn) -> bool:
        """Return whether the answer is to the open question, not to an older one."""
        return isinstance(turn.data, Pending) and turn.data.asked.is_meant_by(turn)

    def __init__(self, *, lifetime: timedelta, started_at: datetime) -> None:
        self._lifetime = lifetime
        self._started_at = started_at

    def lifetime(self, _state: State) -> timedelta:
        """Return how long a question waits for its answer, from the config."""
        return self._lifetime

    @on(ask)
    def put_question(self, turn: Turn, replaced: Pending | None) -> Pending:
        """Ask the sender the question.

        ``replaced`` is an earlier question that is still open, which is closed; None if there is
        none.
        """
        question = turn.signal(Question)
        text = turn.gettext(
            "{question} Answer with `{prefix}yes` or `{prefix}no`, or react to this message "
            "with ✅ or ❌, within {duration}.",
            question=question.text,
            prefix=turn.prefix,
            duration=turn.translator.duration(self._lifetime),
        )
        if replaced is not None:
            text = turn.gettext("This replaces the earlier question.\n\n{question}", question=text)
        sent_as = turn.ask_back(text)
        if replaced is not None:
            closed = turn.gettext(
                "{question}\n\nThis question was replaced by a newer one; nothing was changed.",
                question=replaced.asked.text,
            )
            turn.edit(closed, sent_as=replaced.asked.sent_as)
            if replaced.otherwise != question.otherwise:
                _give_up(turn, replaced)
        asked = OpenPrompt(id=turn.inbound.event_id, sent_as=sent_as, text=question.text)
        return Pending(question.then, question.otherwise, asked)

    @on(yes)
    def carry_out(self, turn: Turn, pending: Pending) -> None:
        """Trigger the signal for a yes."""
        turn.signals.append(pending.then)

    @on(no, cancel)
    def leave_it(self, turn: Turn, pending: Pending) -> None:
        """Trigger the signal that ``pending`` has for the answer "no".

        If it has none, tell the sender that nothing was changed.
        """
        if not _give_up(turn, pending):
            turn.reply(turn.gettext("OK, nothing was changed."))

    @on(answer_late)
    def explain(self, turn: Turn) -> None:
        """Tell the sender why the answer comes too late.

        If a restart has lost the question, also edit the question to say that it has expired.
        """
        if not is_of_another_life(turn):
            turn.reply(
                turn.gettext(
                    "This question is closed: it was answered, replaced, or it expired. If you "
                    "still want this, send the command again."
                )
            )
            return
        restarted = turn.translator.moment(self._started_at)
        turn.reply(
            turn.gettext(
                "I restarted at {moment} and lost this question. If you still want this, send "
                "the command again.",
                moment=restarted,
            )
        )
        closed = turn.gettext("This question expired: I restarted at {moment}.", moment=restarted)
        turn.edit(closed, event_id=turn.inbound.about)

    @on(lapse)
    def close(self, turn: Turn, pending: Pending) -> None:
        """Mark the question as expired by an edit, and trigger any signal for the answer no."""
        closed = turn.gettext(
            "{question}\n\nThis question expired and nothing was changed. If you still want "
            "this, send the command again.",
            question=pending.asked.text,
        )
        turn.edit(closed, sent_as=pending.asked.sent_as)
        _give_up(turn, pending)


def _give_up(turn: Turn, pending: Pending) -> bool:
    """Trigger the signal for the answer no, if there is one; return whether there is one."""
    if pending.otherwise is not None:
        turn.signals.append(pending.otherwise)
    return pending.otherwise is not None
