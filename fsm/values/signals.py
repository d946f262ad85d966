"""Signals by which flows of ``durable`` and ``ephemeral`` trigger one another."""

from attrs import frozen

from fsm.values.ids import ChatId
from fsm.values.messages import Choices, Said


@frozen
class Say:
    """Ask the room's agent.

    Args:
        said: The text and its files.
    """

    said: Said


@frozen
class Hold:
    """Keep the turn's message until its sender has chosen an agent.

    Args:
        said: The message's text and files; None for those of the event itself.
    """

    said: Said | None = None


@frozen
class Release:
    """An agent was chosen: handle the held messages again."""


@frozen
class OfferChats:
    """Ask the sender to choose an archived chat.

    Args:
        choices: The archived chats.
    """

    choices: Choices


@frozen
class LoadChat:
    """Load an archived chat into the room.

    Args:
        chat_id: Its number in the sender's Space.
    """

    chat_id: ChatId
