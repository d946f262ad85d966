"""Questions of the bot's that wait for their answer.

Lost at a restart: which question is open. That is fine: the question's own event says of which
flow and life it is, so that a late answer gets a sentence and the question is closed by an edit.
"""

from attrs import frozen

from fsm import Turn
from fsm.values.ids import EventId, TransactionId

YES = ("yes", "y", "да", "д")
"""What people reply to a question, in any case, when they mean yes."""

NO = ("no", "n", "нет", "н")
"""And when they mean no."""


@frozen(kw_only=True)
class OpenPrompt:
    """One such question.

    Args:
        id: The id in its mark.
        sent_as: How its message is found again, to be edited.
        text: What it asks, Markdown.
    """

    id: EventId
    sent_as: TransactionId
    text: str

    def is_meant_by(self, turn: Turn) -> bool:
        """Whether the turn answers this question: what is no reaction or reply always does."""
        mark = turn.question_ref
        return mark is None or (mark.id, mark.life) == (self.id, turn.life)


def is_of_another_life(turn: Turn) -> bool:
    """Whether the turn answers a question that nothing has closed.

    One of this life was answered, or was edited when it lapsed or was replaced.
    """
    return turn.question_ref is not None and turn.question_ref.life != turn.life
