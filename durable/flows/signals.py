"""Signals by which the durable flows trigger one another."""

from attrs import frozen

from durable.records import RoomRecord
from fsm import AgentEntry
from fsm.values.ids import RoomId


@frozen
class MeetUser:
    """The sender has a room with the bot."""


@frozen
class AgentChosen:
    """The sender has selected an agent.

    Args:
        agent: The agent.
    """

    agent: AgentEntry


@frozen
class Settle:
    """The turn's room gets a record.

    Args:
        room: The record.
    """

    room: RoomRecord


@frozen
class MoveRoom:
    """The turn's room was replaced by another, which takes over its record.

    Args:
        to: The other room.
    """

    to: RoomId


@frozen
class RebindRoom:
    """The sender has confirmed that another agent answers in the turn's room.

    Args:
        agent: The agent.
    """

    agent: AgentEntry


@frozen
class ArchiveRoom:
    """The sender has confirmed that the turn's room is archived."""


@frozen
class OnboardUser:
    """Somebody without a Space has invited the bot."""


@frozen
class WelcomeUser:
    """Somebody who has a Space has invited the bot."""


@frozen
class ForgetUser:
    """The sender has confirmed that all records on them are deleted."""


@frozen
class ForgetLanguage:
    """Delete the sender's choice of a language."""
