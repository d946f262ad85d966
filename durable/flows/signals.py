"""Signals by which the durable flows trigger one another."""

from attrs import frozen

from durable.records import RoomRecord
from fsm import AgentEntry
from fsm.values.ids import RoomId


@frozen
class MeetUser:
    """The signal that the sender now shares a room with the bot: to store a record of the user."""


@frozen
class AgentChosen:
    """The signal that the sender has selected an agent.

    Args:
        agent: The selected agent.
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
    """The signal that another room has replaced the turn's room: to give it the room's record.

    Args:
        to: The other room.
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
    """The signal that the bot has joined a room of the sender, who has no Space: to create one."""


@frozen
class WelcomeUser:
    """The signal that the bot has joined a room of the sender, who has a Space.

    The sender is then invited to the Space and all chats again.
    """


@frozen
class ForgetUser:
    """The signal that the sender has confirmed the deletion of all their records."""


@frozen
class ForgetLanguage:
    """The signal to delete the sender's choice of a language."""
