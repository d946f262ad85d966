"""Work items of a room's queue."""

from attrs import frozen

from ephemeral.conversations import ExpiredState
from fsm import Inbound
from fsm.values.ids import EventId, RoomId
from matrix import TimelineGap
from strandline.engine.checkpoint import BatchProgress
from strandline.engine.deadlines import DueDeadline


@frozen
class NewEvent:
    """An event of a sync response."""

    inbound: Inbound
    batch: BatchProgress


@frozen
class UnreadGap:
    """A gap in a room's timeline, which is read before any later event of the room."""

    gap: TimelineGap
    batch: BatchProgress

    @classmethod
    def of(cls, room_id: RoomId, progress: BatchProgress) -> "UnreadGap":
        """A skipped part of the room's history."""
        batch = progress.batch
        assert batch.since is not None  # noqa: S101  # where the part begins
        is_entered = room_id in batch.entered
        gap = TimelineGap(room_id=room_id, since=batch.since, end=batch.next, is_entered=is_entered)
        return cls(gap, progress)


@frozen
class ReopenedEvent:
    """An event to handle again. Only its id was stored."""

    room_id: RoomId
    event_id: EventId
    attempt: int


WorkItem = NewEvent | UnreadGap | ReopenedEvent | ExpiredState | DueDeadline


def room_of(item: WorkItem) -> RoomId:
    """The room in whose order the item is handled."""
    match item:
        case NewEvent(inbound=inbound) | ExpiredState(inbound=inbound):
            return inbound.room_id
        case UnreadGap(gap=gap):
            return gap.room_id
        case ReopenedEvent(room_id=room_id):
            return room_id
        case DueDeadline(deadline=deadline):
            return deadline.room_id
