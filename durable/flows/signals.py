"""Signals between the durable flows."""

from attrs import frozen

from durable.records import RoomRecord
from fsm import AgentEntry
from fsm.values.ids import RoomId


@frozen
class MeetUser:
    """The signal that the sender shares a room with the bot, so that a user record is stored."""


@frozen
class AgentChosen:
    """The signal that the sender has selected an agent.

    Args:
        agent: The agent.
    """

    agent: AgentEntry


@frozen
class Settle:
    """The signal to make ``room`` the record of the turn's room.

    Args:
        room: The record: of a chat's room, or of a Space.
    """

    room: RoomRecord


@frozen
class MoveRoom:
    """The signal to give the record of the turn's room to the room that replaces it.

    Args:
        to: The room that replaces the turn's room.
    """

    to: RoomId


@frozen
class RebindRoom:
    """The signal that the sender has confirmed the binding of the turn's room to another agent.

    Args:
        agent: The new agent.
    """

    agent: AgentEntry


@frozen
class ArchiveRoom:
    """The signal that the sender has confirmed archiving the chat in the turn's room."""


@frozen
class OnboardUser:
    """The signal to request a Space for the sender, after the bot has joined a room of theirs."""


@frozen
class WelcomeUser:
    """The signal to invite the sender to their Space and chats again.

    It is triggered after the bot has joined a room of a sender who has a Space.
    """


@frozen
class ForgetUser:
    """The signal that the sender has confirmed the deletion of all their records."""


@frozen
class ForgetLanguage:
    """The signal to delete the sender's choice of a language."""
