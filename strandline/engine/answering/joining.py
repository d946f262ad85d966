"""Messages that join a question in progress instead of getting a turn of their own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import structlog

from fsm import EventKind, Inbound
from fsm.values.ids import RoomId
from strandline.engine.answering.answer import ActiveAnswer
from strandline.engine.answering.edits import EditTracker
from strandline.engine.turns import Turns
from strandline.engine.work_items import NewEvent, WorkItem

_log = structlog.get_logger(__name__)

Prepare = Callable[[Inbound], Awaitable[Inbound | None]]
Queued = Callable[[RoomId], Sequence[WorkItem]]

MAX_JOINED = 50
"""Maximum number of messages that join one question. Later ones have turns of their own."""


class QuestionJoiner:
    """Adds messages that arrive while a question is answered to that question.

    A message joins if it is a text of the same person in the same thread, and its own turn would
    only ask an agent. Every message also stays in its room's queue. When the common answer is
    committed, the messages that joined are marked as handled; the others then have their own turns.

    Args:
        turns: Finds out what the turn of a message would do.
        edits: Knows which answer is in progress.
        queued: Returns the items that wait in a room's queue. None if messages never join.
    """

    def __init__(
        self,
        turns: Turns,
        edits: EditTracker,
        *,
        queued: Queued | None,
    ) -> None:
        self._turns = turns
        self._edits = edits
        self._queued = queued
        self._arrivals: dict[RoomId, asyncio.Event] = {}

    def notify(self, room_id: RoomId) -> None:
        """Check the room's queue for messages that may join; call it when an item was added."""
        if room_id in self._arrivals:
            self._arrivals[room_id].set()

    @asynccontextmanager
    async def joining(self, room_id: RoomId, prepare: Prepare) -> AsyncIterator[None]:
        """Let messages join the question that is answered in the room while the body runs.

        Args:
            room_id: The room.
            prepare: Called with an event that may join. Returns the event, completed; None if it is
                to be dropped.
        """
        if self._queued is None:
            yield
            return
        task = asyncio.ensure_future(self._run(room_id, self._queued, prepare))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled() and (error := task.exception()) is not None:
                _log.warning("no further messages joined the question", exc_info=error)

    async def _run(self, room_id: RoomId, queued: Queued, prepare: Prepare) -> None:
        arrived = self._arrivals[room_id] = asyncio.Event()
        try:
            while True:
                arrived.clear()
                for item in queued(room_id):
                    answer = self._edits.active(room_id)
                    if answer is None or not await self._try_join(item, answer, prepare):
                        break
                await arrived.wait()
        finally:
            del self._arrivals[room_id]

    async def _try_join(self, item: WorkItem, answer: ActiveAnswer, prepare: Prepare) -> bool:
        """Let the item join the answer's question, if it may.

        Returns:
            True if the item joined, or if there is nothing to answer. False if the item needs its
            own turn: then no later item may join either.
        """
        if not isinstance(item, NewEvent):
            return False
        inbound = item.inbound
        if any(joined.request_id == inbound.event_id for joined in answer.joined):
            return True
        if not _may_join(inbound, answer):
            return False
        prepared = await prepare(inbound)
        amended = None if prepared is None else self._edits.amended(prepared)
        if amended is None:
            return True  # there is nothing to answer
        question = await self._turns.dry_run(amended)
        if question is None:
            return False
        self._edits.join(answer, question)
        return True


def _may_join(inbound: Inbound, answer: ActiveAnswer) -> bool:
    first = answer.inbound
    is_same = (inbound.sender, inbound.thread) == (first.sender, first.thread)
    return inbound.kind is EventKind.TEXT and is_same and len(answer.joined) < MAX_JOINED
