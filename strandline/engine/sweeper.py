"""Puts expired states into the room queues."""

import asyncio

import structlog

from ephemeral.conversations import Conversations, ExpiringState
from strandline.engine.clock import Clock
from strandline.engine.deadlines import Deadlines, DueDeadline
from strandline.engine.room_queues import BoundedRoomQueues
from strandline.engine.work_items import WorkItem, room_of

_log = structlog.get_logger(__name__)


class Sweeper:
    """Searches regularly for expired ephemeral states and passed deadlines, and queues them.

    Args:
        conversations: The ephemeral states.
        deadlines: Finds the passed deadlines of durable states.
        queues: The room queues.
        clock: The clocks, and the time between two searches.
    """

    def __init__(
        self,
        conversations: Conversations,
        deadlines: Deadlines,
        queues: BoundedRoomQueues[WorkItem],
        clock: Clock,
    ) -> None:
        self._conversations = conversations
        self._deadlines = deadlines
        self._queues = queues
        self._clock = clock

    async def run(self) -> None:
        """Search regularly until cancelled."""
        ahead = 0.0
        while True:
            await asyncio.sleep(self._clock.sweep_seconds)
            before, ahead = ahead, self._clock.ahead_seconds()
            expired: list[ExpiringState | DueDeadline] = []
            for lapsed in self._conversations.sweep(self._clock.monotonic()):
                expired.append(lapsed)
                await self._queues.put(room_of(lapsed), lapsed)
            for due in await self._deadlines.newly_due():
                expired.append(due)
                await self._queues.put(room_of(due), due)
            if ahead != before:  # a test waits for this
                ids = [item.event_id for item in expired]
                _log.debug("time was set forward", ahead_seconds=ahead, ended=ids)
