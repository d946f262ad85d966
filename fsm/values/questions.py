"""Questions: what one flow has another ask, and how a question says what it is."""

from attrs import frozen

from fsm.values.ids import EventId, UserId
from fsm.values.signals import Signal


@frozen
class Question:
    """What the confirmation flow asks.

    Args:
        text: The question, Markdown.
        then: The event to trigger if the answer is yes.
        otherwise: The one to trigger if it is no, or does not come in time.
    """

    text: str
    then: Signal
    otherwise: Signal | None = None


CONFIRMATION = "confirmation"
"""The name of the flow that asks before something is done."""


@frozen(kw_only=True)
class Mark:
    """What a question's event carries, so that an answer to it is known after any restart.

    Args:
        flow: The flow that asks.
        id: The inbound event that made it ask: no two questions of a flow have the same.
        life: The life of the process in which it was asked.
        asker: Whose answer counts; None for everybody's.
    """

    flow: str
    id: EventId
    life: str
    asker: UserId | None
