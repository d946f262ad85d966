"""What waits in a room's queue, and what handling it needs of the homeserver."""

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from attrs import frozen

from ephemeral.conversations import Lapsed
from fsm import Inbound, Mark
from fsm.ids import EventId, RoomId, UserId
from matrix import Gap
from strandline.checkpoint import Batch


@frozen
class Arrived:
    """An event of a sync response."""

    inbound: Inbound
    batch: Batch


@frozen
class Missing:
    """A hole in a room's timeline, to be filled before anything later in the room."""

    gap: Gap
    batch: Batch


@frozen
class Again:
    """An event to be handled once more, known by its id since the process has died in between."""

    room_id: RoomId
    event_id: EventId
    attempt: int


Item = Arrived | Missing | Again | Lapsed


def room_of(item: Item) -> RoomId:
    """The room in whose order the item is handled."""
    match item:
        case Arrived(inbound=inbound) | Lapsed(inbound=inbound):
            return inbound.room_id
        case Missing(gap=gap):
            return gap.room_id
        case Again(room_id=room_id):
            return room_id


class Shore(Protocol):
    """What handling needs of the homeserver."""

    def fill(self, gap: Gap) -> AsyncIterator[Inbound]:
        """The events that a gap hides, in order."""

    async def event(self, room_id: RoomId, event_id: EventId) -> Inbound | None:
        """One event by its id; None if it is gone."""

    async def decrypt_later(self, inbound: Inbound) -> Inbound | None:
        """The event once its key has come; itself if the key stays away; None if it is no text."""

    async def is_group(self, room_id: RoomId) -> bool:
        """Whether more than two people are in the room, or invited to it."""

    async def question_mark(self, room_id: RoomId, event_id: EventId) -> Mark | None:
        """What a message of the bot's says of itself, if it is a question."""


@frozen(kw_only=True)
class Policy:
    """Whom the bot listens to.

    Args:
        is_allowed: Who may talk to it at all.
        reactions: The emoji that mean something to it.
        tells_groups: It matters whether a room has more than two people in it.
    """

    is_allowed: Callable[[UserId], bool]
    reactions: frozenset[str] = frozenset()
    tells_groups: bool = False
