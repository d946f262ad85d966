"""The running engine: its parts in one task group, started and stopped in order."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

import structlog
from attrs import frozen

from durable.store import Store
from ephemeral.agents.pool import AgentPool
from matrix import Delivery, SyncLoop
from strandline.engine.checkpoint import Checkpoint
from strandline.engine.intake import BatchIntake
from strandline.engine.outcomes import EffectOutcomes
from strandline.engine.room_queues import BoundedRoomQueues
from strandline.engine.work_items import ReopenedEvent, UnreadGap, WorkItem
from strandline.engine.worker import EventWorker

_log = structlog.get_logger(__name__)


class Loop(Protocol):
    """A part that runs until it is cancelled."""

    async def run(self) -> None:
        """Run until cancelled."""


@frozen(kw_only=True)
class InboundPipeline:
    """The path from the homeserver to the turns: sync, queues, worker and checkpoint."""

    sync: SyncLoop
    intake: BatchIntake
    queues: BoundedRoomQueues[WorkItem]
    worker: EventWorker
    checkpoint: Checkpoint

    def loops(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """The loops that handle queued items."""
        return self.queues.run(self.worker.handle), self.checkpoint.run()

    async def resume(self, store: Store) -> None:
        """Queue the pending work of earlier runs: events to repeat, and rooms that are behind."""
        for row in await store.reopened():
            await self.queues.put(
                row.room_id, ReopenedEvent(row.room_id, row.event_id, row.ordinal)
            )
        token = await store.checkpoint.token()
        if token is None:
            return
        for room_id, behind in (await store.checkpoint.rooms_behind()).items():
            progress = self.checkpoint.restore(room_id, behind, token)
            await self.queues.put(room_id, UnreadGap.of(room_id, progress))


@frozen(kw_only=True)
class OutboundPipeline:
    """The path from the outbox to the homeserver."""

    delivery: Delivery
    outcomes: EffectOutcomes
    checkpoint: Checkpoint

    async def run(self) -> None:
        """Deliver rows. At the first start, wait until a sync token is stored."""
        await self.checkpoint.is_saved.wait()
        await self.delivery.run(self.outcomes)

    async def resume(self, store: Store) -> None:
        """Submit the rows that earlier runs did not deliver."""
        self.delivery.submit(await store.outbox.pending_rows())


@frozen(kw_only=True)
class Engine:
    """All parts of one run of the bot.

    Args:
        inbound: Handles events.
        outbound: Delivers rows.
        agents: The agents.
        background: Other parts that run until they are cancelled.
        store: The store, for the pending work of earlier runs.
        stop_seconds: The maximum time for ``run`` to stop.
    """

    inbound: InboundPipeline
    outbound: OutboundPipeline
    agents: AgentPool
    background: Sequence[Loop]
    store: Store
    stop_seconds: float

    async def run(self, stop: asyncio.Event) -> None:
        """Handle events until ``stop`` is set, then finish what is in progress."""
        try:
            async with asyncio.TaskGroup() as tasks:
                loops = [*self.inbound.loops(), self.outbound.run(), self.agents.run()]
                loops += [part.run() for part in self.background]
                running = [tasks.create_task(loop) for loop in loops]
                await self.outbound.resume(self.store)
                await self.inbound.resume(self.store)
                syncing = tasks.create_task(self.inbound.sync.run(self.inbound.intake))
                await stop.wait()
                syncing.cancel()
                await self._finish()
                for task in running:
                    task.cancel()
        finally:
            await self.agents.close()

    async def _finish(self) -> None:
        _log.info("stopping", within_seconds=self.stop_seconds)
        try:
            async with asyncio.timeout(self.stop_seconds):
                await self.inbound.queues.stop()
                await self.outbound.delivery.drained()
                await self.inbound.checkpoint.flush()
        except TimeoutError:
            _log.warning("stopped with work in progress; the next start finishes it")
        _log.info("stopped")
