"""Work items of a room's queue."""

from attrs import frozen

from ephemeral.conversations import ExpiringState
from fsm import Inbound
from fsm.values.ids import EventId, RoomId
from matrix import TimelineGap
from strandline.engine.checkpoint import BatchProgress
from strandline.engine.deadlines import DueDeadline


@frozen
class NewEvent:
    """An event of a sync response.

    Args:
        inbound: The event.
        batch: The progress of handling that response.
    """

    inbound: Inbound
    batch: BatchProgress


@frozen
class UnreadGap:
    """A gap in a room's timeline, which is read before any later event of the room is handled.

    Args:
        gap: The gap.
        batch: The progress of handling the sync response, or the part of the history, with the gap.
    """

    gap: TimelineGap
    batch: BatchProgress

    @classmethod
    def of(cls, room_id: RoomId, progress: BatchProgress) -> "UnreadGap":
        """Return the item for a part of a room's history.

        Args:
            room_id: The room.
            progress: The progress of reading that part, which extends from its batch's ``since`` to
                its ``next``. ``since`` is not None.
        """
        batch = progress.batch
        assert batch.since is not None  # noqa: S101  # where the part begins
        is_entered = room_id in batch.entered
        gap = TimelineGap(room_id=room_id, since=batch.since, end=batch.next, is_entered=is_entered)
        return cls(gap, progress)


@frozen
class ReopenedEvent:
    """A reopened event. Only its id was stored, so its content is read again from the room.

    Args:
        room_id: The event's room.
        event_id: The event.
        attempt: How often the event was handled before.
    """

    room_id: RoomId
    event_id: EventId
    attempt: int


WorkItem = NewEvent | UnreadGap | ReopenedEvent | ExpiringState | DueDeadline


def room_of(item: WorkItem) -> RoomId:
    """Return the room in whose queue the item is handled."""
    match item:
        case NewEvent(inbound=inbound) | ExpiringState(inbound=inbound):
            return inbound.room_id
        case UnreadGap(gap=gap):
            return gap.room_id
        case ReopenedEvent(room_id=room_id):
            return room_id
        case DueDeadline(deadline=deadline):
            return deadline.room_id
