"""Confirmation of actions that can't be undone.

Lost at a restart: the pending question. That is fine: nothing was done yet, a late answer gets a
sentence that says so, and the question is asked again with one command.
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
        then: The signal that a yes triggers.
        otherwise: The signal that a no or the expiry triggers.
        asked: The question.
    """

    then: Triggered
    otherwise: Triggered | None
    asked: OpenPrompt


@frozen
class CancelConfirmation:
    """The signal to close the open question, if there is one."""


class Confirmation(Flow):
    """Ask before an action that can't be undone."""

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
        """Whether this question is answered, not an older one."""
        return isinstance(turn.data, Pending) and turn.data.asked.is_meant_by(turn)

    def __init__(self, *, lifetime: timedelta, started_at: datetime) -> None:
        self._lifetime = lifetime
        self._started_at = started_at

    def lifetime(self, _state: State) -> timedelta:
        """The expiry from the config."""
        return self._lifetime

    @on(ask)
    def put_question(self, turn: Turn, replaced: Pending | None) -> Pending:
        """Ask the question, and remember the signal for a yes."""
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
        """Do nothing, or trigger the signal for a no."""
        if not _give_up(turn, pending):
            turn.reply(turn.gettext("OK, nothing was changed."))

    @on(answer_late)
    def explain(self, turn: Turn) -> None:
        """Explain a late answer: say what became of its question, and close that by an edit."""
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
        """Edit the question: it has expired."""
        closed = turn.gettext(
            "{question}\n\nThis question expired and nothing was changed. If you still want "
            "this, send the command again.",
            question=pending.asked.text,
        )
        turn.edit(closed, sent_as=pending.asked.sent_as)
        _give_up(turn, pending)


def _give_up(turn: Turn, pending: Pending) -> bool:
    """Trigger the signal for a no; return whether there is one."""
    if pending.otherwise is not None:
        turn.signals.append(pending.otherwise)
    return pending.otherwise is not None
