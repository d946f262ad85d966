"""Handles the items of the room queues, each completely before the next one of its room."""

import structlog
from attrs import frozen

from durable.store import Commit
from ephemeral.conversations import ExpiringState
from fsm import Inbound
from fsm.failpoints import reach
from matrix import Delivery, HomeserverReader
from strandline.engine.checkpoint import BatchProgress, Checkpoint
from strandline.engine.deadlines import DueDeadline
from strandline.engine.event_handler import EventHandler
from strandline.engine.expiries import Expiries
from strandline.engine.retrying_store import RetryingStore
from strandline.engine.work_items import NewEvent, ReopenedEvent, UnreadGap, WorkItem, room_of

_log = structlog.get_logger(__name__)


@frozen(kw_only=True)
class EventWorker:
    """Handles the items of the room queues. No content of an item makes ``handle`` raise.

    Args:
        events: Handles events.
        expiries: Handles expired states.
        checkpoint: Is told which events are handled.
        delivery: Makes a room's items wait while the room has too many pending outbox rows.
        reader: Reads events that are not in an item: those of a gap, and reopened ones.
        store: The store of the reopened events.
    """

    _events: EventHandler
    _expiries: Expiries
    _checkpoint: Checkpoint
    _delivery: Delivery
    _reader: HomeserverReader
    _store: RetryingStore

    async def handle(self, item: WorkItem) -> None:
        """Wait until the room has few enough pending outbox rows, then handle the item."""
        await self._delivery.wait_for_backlog(room_of(item))
        match item:
            case NewEvent(inbound=inbound, batch=batch):
                await self._event(inbound, batch)
                self._checkpoint.done(batch, inbound.room_id)
            case UnreadGap(gap=gap, batch=batch):
                async for inbound in self._reader.fill(gap):
                    await self._event(inbound, batch)
                self._checkpoint.done(batch, gap.room_id)
            case ReopenedEvent():
                await self._retry(item)
            case ExpiringState():
                await self._expiries.expire(item)
                _log.debug("turn done", event_id=item.event_id)
            case DueDeadline():
                await self._expiries.fall_due(item)
                _log.debug("turn done", event_id=item.event_id)

    async def _event(self, inbound: Inbound, batch: BatchProgress) -> None:
        reach("event.arrived")
        self._checkpoint.note(batch, inbound)
        if not await self._events.handle(inbound):
            _log.debug("passed over", event_id=inbound.event_id)

    async def _retry(self, item: ReopenedEvent) -> None:
        inbound = await self._reader.event(item.room_id, item.event_id)
        if inbound is not None and await self._events.handle_again(inbound, item.attempt):
            return
        _log.warning("a message to handle again is gone", event_id=item.event_id)
        await self._store.commit(Commit(cancels_reopened=item.event_id))
