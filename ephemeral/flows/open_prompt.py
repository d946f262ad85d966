"""Open prompts: questions and lists of the bot that wait for an answer.

Lost at a restart: which prompts are open. That is fine: the Matrix event of each prompt names the
flow and the process run that sent it. So the bot recognises a late answer, replies to it, and edits
the prompt to say that it has expired.
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
    """A question or list of the bot that waits for an answer.

    Args:
        id: The id in the prompt's ``QuestionRef``: that of the event whose turn sent the prompt.
        sent_as: The transaction id of the prompt's message, for edits.
        text: The text of the question or list, in Markdown.
    """

    id: EventId
    sent_as: TransactionId
    text: str

    def is_meant_by(self, turn: Turn) -> bool:
        """Return whether the turn answers this prompt.

        A reaction or a reply answers the prompt that it refers to. Any other answer, such as a
        command, answers this one.
        """
        mark = turn.question_ref
        return mark is None or (mark.id, mark.life) == (self.id, turn.life)


def is_of_another_life(turn: Turn) -> bool:
    """Return whether the turn answers a prompt of an earlier process run.

    A prompt of this run was closed by an edit when it expired or was replaced, or by its answer. A
    restart closes no prompt, so one of an earlier run may still look open.
    """
    return turn.question_ref is not None and turn.question_ref.life != turn.life
