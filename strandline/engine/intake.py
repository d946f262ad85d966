"""Puts the content of each sync response, a batch of items, into the room queues."""

import structlog
from attrs import evolve, frozen

from fsm import Command, EventKind, Inbound
from fsm.dispatch import said_in
from fsm.values.ids import RoomId, UserId
from fsm.values.inbound import ReactionReceived
from fsm.values.text import compared
from matrix import SyncBatch, SyncEvent
from strandline.engine.answering.edits import EditTracker
from strandline.engine.answering.joining import QuestionJoiner
from strandline.engine.checkpoint import BatchProgress, Checkpoint
from strandline.engine.room_queues import BoundedRoomQueues
from strandline.engine.work_items import NewEvent, UnreadGap, WorkItem, room_of

_log = structlog.get_logger(__name__)

STOP = "stop"
"""The command that stops an answer in progress. It takes effect as soon as it arrives, before the
events that are queued ahead of it are handled."""

STOP_SIGN = "\N{OCTAGONAL SIGN}"
"""The reaction that stops an answer in progress, as soon as it arrives."""


@frozen(kw_only=True)
class BatchIntake:
    """Queues the items of sync batches.

    If too many items are queued, further ones are skipped, and read later from the room's history.

    Args:
        queues: The room queues.
        checkpoint: Is told of each batch and of each skipped item.
        edits: Stops the answer that a user wants stopped.
        joiner: Is told of each event that is queued, because it may join a question in progress.
        prefix: The text with which a command begins, such as ``!``.
        user_id: The bot's own id, for the log.
    """

    _queues: BoundedRoomQueues[WorkItem]
    _checkpoint: Checkpoint
    _edits: EditTracker
    _joiner: QuestionJoiner
    _prefix: str
    _user_id: UserId

    async def take(self, batch: SyncBatch) -> None:
        """Queue the batch's items. Wait for free space if an item can't be skipped."""
        progress = self._checkpoint.begin(batch)
        for item in batch.items:
            if isinstance(item, SyncEvent):
                inbound = self._stopping(item.inbound)
                if await self._queue(NewEvent(inbound, progress), progress):
                    self._joiner.notify(inbound.room_id)
            else:
                await self._queue(UnreadGap(item, progress), progress)

    async def started(self) -> None:
        """Wait until a sync token is stored, then log that the bot is ready.

        From then on no event is lost.
        """
        await self._checkpoint.is_saved.wait()
        _log.info("ready", user_id=self._user_id)

    async def _queue(self, item: NewEvent | UnreadGap, progress: BatchProgress) -> bool:
        """Queue the item; return False if it is skipped, to be read later."""
        room_id = room_of(item)
        if not progress.can_skip(room_id):
            await self._queues.put(room_id, item)
            return True
        is_skipping = self._checkpoint.is_skipping(room_id)  # later items must not come first
        if is_skipping or not await self._queues.offer(room_id, item):
            self._checkpoint.skip(progress, room_id)
            return False
        return True

    def _stopping(self, inbound: Inbound) -> Inbound:
        """Stop the sender's answer in progress if the event is a stop command or a stop reaction.

        Returns:
            The event. If it is a stop command, its ``about`` is the question whose answer was
            stopped; None if there was none.
        """
        if isinstance(inbound, ReactionReceived) and compared(inbound.key) == STOP_SIGN:
            self._edits.stop(inbound.room_id, inbound.sender)
        elif inbound.kind is EventKind.TEXT:
            said = said_in(inbound.body, self._prefix, inbound.names)
            if isinstance(said, Command) and said.name == STOP:
                stopped = self._edits.stop(inbound.room_id, inbound.sender)
                return evolve(inbound, about=stopped)
        return inbound


def next_skipped(checkpoint: Checkpoint, room_id: RoomId) -> UnreadGap | None:
    """Return the part of the room's history with its skipped items; None if no item was skipped.

    To be called when the room's queue is empty. The room's later items are queued again from now
    on.
    """
    progress = checkpoint.read_skipped(room_id)
    return None if progress is None else UnreadGap.of(room_id, progress)
