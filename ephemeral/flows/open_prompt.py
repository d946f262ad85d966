"""Open prompts: questions and lists of the bot that wait for an answer.

Lost at a restart: which question is open. That is fine: the question's event names its flow and
process run, so that a late answer gets a reply, and the question is closed by an edit.
"""

from attrs import frozen

from fsm import Turn
from fsm.values.ids import EventId, TransactionId

YES = ("yes", "y", "да", "д")
"""Replies that mean yes, in any letter case."""

NO = ("no", "n", "нет", "н")
"""Replies that mean no."""


@frozen(kw_only=True)
class OpenPrompt:
    """One open prompt.

    Args:
        id: The id in its reference.
        sent_as: The transaction id of its message, for editing it.
        text: The question, Markdown.
    """

    id: EventId
    sent_as: TransactionId
    text: str

    def is_meant_by(self, turn: Turn) -> bool:
        """Whether the turn answers this prompt. Only a reaction or reply can mean another one."""
        mark = turn.question_ref
        return mark is None or (mark.id, mark.life) == (self.id, turn.life)


def is_of_another_life(turn: Turn) -> bool:
    """Whether the turn answers a prompt of an earlier process run, which was not closed.

    A prompt of this run was closed when it was answered, expired or was replaced.
    """
    return turn.question_ref is not None and turn.question_ref.life != turn.life
