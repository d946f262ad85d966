"""What is meant for the bot in a room of many."""

from durable.records import RoomRecord, room_key
from fsm import Turn

OWNER = "owner"
MENTION = "mention"
EVERYONE = "everyone"


def is_owners(turn: Turn) -> bool:
    """The sender is whose room it is, as far as that is known."""
    room = turn.records.find(RoomRecord, room_key(turn.room_id))
    return room is None or room.matrix_user_id in (None, turn.sender)


def is_addressed(turn: Turn, respond_to: str) -> bool:
    """Whether the bot responds to this turn's event.

    Args:
        turn: The turn.
        respond_to: In rooms of more than two: ``owner``, ``mention`` or ``everyone``.
    """
    if respond_to == EVERYONE:
        return True
    if respond_to == MENTION and (turn.inbound.is_group or turn.inbound.mentions_bot):
        return turn.inbound.mentions_bot
    return is_owners(turn)
