"""Signals between the durable flows."""

from attrs import frozen

from durable.records import RoomRecord
from fsm import AgentEntry
from fsm.values.ids import RoomId


@frozen
class MeetUser:
    """The signal that the sender has a room with the bot."""


@frozen
class AgentChosen:
    """The signal that the sender has selected an agent.

    Args:
        agent: The agent.
    """

    agent: AgentEntry


@frozen
class Settle:
    """The signal to store the record of the turn's room.

    Args:
        room: The record.
    """

    room: RoomRecord


@frozen
class MoveRoom:
    """The signal that the turn's room was replaced by another, which takes over its record.

    Args:
        to: The other room.
    """

    to: RoomId


@frozen
class RebindRoom:
    """The signal that the sender has confirmed another agent for the turn's room.

    Args:
        agent: The agent.
    """

    agent: AgentEntry


@frozen
class ArchiveRoom:
    """The signal that the sender has confirmed archiving the turn's room."""


@frozen
class OnboardUser:
    """The signal that a user without a Space has invited the bot."""


@frozen
class WelcomeUser:
    """The signal that a user with a Space has invited the bot."""


@frozen
class ForgetUser:
    """The signal that the sender has confirmed the deletion of all their records."""


@frozen
class ForgetLanguage:
    """The signal to delete the sender's choice of a language."""
