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
    """The parts that handle events: sync loop, intake, room queues, worker and checkpoint.

    Args:
        sync: Reads the sync responses of the homeserver.
        intake: Puts the events of each response into the room queues.
        queues: The room queues.
        worker: Handles the items of the room queues.
        checkpoint: Stores up to which sync token all events are handled.
    """

    sync: SyncLoop
    intake: BatchIntake
    queues: BoundedRoomQueues[WorkItem]
    worker: EventWorker
    checkpoint: Checkpoint

    def loops(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """Return the coroutines that handle queued items and save the checkpoint."""
        return self.queues.run(self.worker.handle), self.checkpoint.run()

    async def resume(self, store: Store) -> None:
        """Queue the work that earlier runs left: reopened events, and rooms behind the checkpoint.

        For a room behind the checkpoint, one item is queued: the part of its history that must be
        read.
        """
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
    """The parts that deliver outbox rows to the homeserver and handle their outcomes.

    Args:
        delivery: Sends the rows.
        outcomes: Receives the outcome of each row.
        checkpoint: Says when the first sync token is stored.
    """

    delivery: Delivery
    outcomes: EffectOutcomes
    checkpoint: Checkpoint

    async def run(self) -> None:
        """Deliver rows until cancelled.

        At the bot's first start, nothing is delivered until a sync token is stored.
        """
        await self.checkpoint.is_saved.wait()
        await self.delivery.run(self.outcomes)

    async def resume(self, store: Store) -> None:
        """Submit the rows that earlier runs did not deliver."""
        self.delivery.submit(await store.outbox.pending_rows())


@frozen(kw_only=True)
class Engine:
    """Runs all parts of the bot, from its start until it is stopped.

    Args:
        inbound: Handles events.
        outbound: Delivers outbox rows.
        agents: The connections to the agents. They are closed at the end of the run.
        background: Other parts that run until they are cancelled.
        store: The store with the work that earlier runs left.
        stop_seconds: The maximum time to finish what is in progress after a stop.
    """

    inbound: InboundPipeline
    outbound: OutboundPipeline
    agents: AgentPool
    background: Sequence[Loop]
    store: Store
    stop_seconds: float

    async def run(self, stop: asyncio.Event) -> None:
        """Handle events until ``stop`` is set, then finish what is in progress.

        What is not finished after ``stop_seconds`` is cancelled; the next start finishes it.
        """
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
