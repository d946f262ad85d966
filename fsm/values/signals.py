"""Signals by which flows of ``durable`` and ``ephemeral`` trigger one another."""

from attrs import frozen

from fsm.values.ids import ChatId
from fsm.values.messages import Choices, Said


@frozen
class Say:
    """The signal to ask the room's agent a question.

    Args:
        said: The question with its files.
    """

    said: Said


@frozen
class Hold:
    """The signal to keep the turn's message in memory until its sender has chosen an agent.

    Args:
        said: The text and the files of the message. None: those of the inbound event.
    """

    said: Said | None = None


@frozen
class Release:
    """The signal that an agent was chosen: the messages kept by ``Hold`` are handled again."""


@frozen
class OfferChats:
    """The signal to ask the sender to choose an archived chat.

    Args:
        choices: The archived chats.
    """

    choices: Choices


@frozen
class LoadChat:
    """The signal to reopen an archived chat of the sender.

    Args:
        chat_id: The number of the chat in the sender's Space.
    """

    chat_id: ChatId
