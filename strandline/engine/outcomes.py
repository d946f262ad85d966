"""What becomes of outbox rows: stored, and reported to answers and turns."""

from attrs import frozen

from durable import Store
from fsm.outbox import OutboxRow, ReportedRow
from fsm.values.ids import EventId, RoomId
from strandline.engine.answering.publisher import AnswerPublisher
from strandline.engine.worker import EventWorker, retry_until_store_available


@frozen
class EffectOutcomes:
    """Deletes delivered rows, parks failed ones, and reports outcomes that a turn asked for."""

    store: Store
    publisher: AnswerPublisher
    worker: EventWorker

    async def delivered(self, row: OutboxRow, event_id: EventId | None) -> None:
        """Delete the row."""
        await retry_until_store_available(lambda: self.store.delivered(row, event_id))
        self.publisher.head_settled(row, event_id)

    async def reported(self, row: ReportedRow, room_id: RoomId | None, problem: str) -> None:
        """Run the turn that handles the outcome."""
        await self.worker.made(row, room_id, problem)

    async def failed(self, row: OutboxRow, problem: str) -> None:
        """Park the row."""
        await retry_until_store_available(lambda: self.store.park_row(row, problem))
        self.publisher.head_settled(row, None)
