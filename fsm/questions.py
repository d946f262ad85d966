"""A question that one flow has another ask, and what follows a yes."""

from attrs import frozen

from fsm.events import Signal


@frozen
class Question:
    """What the confirmation flow asks.

    Args:
        text: The question, Markdown.
        then: The event to trigger if the answer is yes.
    """

    text: str
    then: Signal
