"""Signals by which flows of ``durable`` and ``ephemeral`` trigger one another."""

from attrs import frozen

from fsm.values.ids import ChatId
from fsm.values.messages import Choices, Said


@frozen
class Say:
    """Have the room's agent asked.

    Args:
        said: The text, and the files that go with it.
    """

    said: Said


@frozen
class Hold:
    """Keep the turn's message until its sender has chosen an agent.

    Args:
        said: Its text, and the files that go with it; None for what the event itself has.
    """

    said: Said | None = None


@frozen
class Release:
    """An agent is chosen: have the held messages handled again."""


@frozen
class OfferChats:
    """Have the sender choose an archived chat.

    Args:
        choices: The archived chats.
    """

    choices: Choices


@frozen
class LoadChat:
    """Bring an archived chat back.

    Args:
        chat_id: Its number in the sender's Space.
    """

    chat_id: ChatId
