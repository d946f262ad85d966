"""Messages that join the question which is being answered, instead of waiting for their turn."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from fsm import EventKind, Inbound
from fsm.values.ids import RoomId
from strandline.engine.answering.edits import ActiveAnswer, EditTracker
from strandline.engine.turns import Turns
from strandline.engine.work_items import NewEvent, WorkItem

MOST_JOINED = 50
"""So many messages join one question; what comes after has its own turn."""


class Joining:
    """Has what waits in a room join the question that is being answered there.

    Only texts of the same person do, which would be put to the same agent and do nothing else. They
    stay in the queue until they are handled with the first: what did not join has its own turn.

    Args:
        turns: Knows what would become of a message.
        amending: Knows what is being answered.
        wanted: The event, readable and complete; None if no flow is to hear of it.
        waiting: What waits in a room's queue; None if nothing is to join.
    """

    def __init__(
        self,
        turns: Turns,
        amending: EditTracker,
        *,
        wanted: Callable[[Inbound], Awaitable[Inbound | None]],
        waiting: Callable[[RoomId], Sequence[WorkItem]] | None,
    ) -> None:
        self._turns = turns
        self._amending = amending
        self._wanted = wanted
        self._waiting = waiting
        self._news: dict[RoomId, asyncio.Event] = {}

    def heard(self, room_id: RoomId) -> None:
        """Something more waits in the room's queue."""
        if room_id in self._news:
            self._news[room_id].set()

    @asynccontextmanager
    async def meanwhile(self, room_id: RoomId) -> AsyncIterator[None]:
        """Let messages join while the body runs, in which a question is answered."""
        if self._waiting is None:
            yield
            return
        joining = asyncio.ensure_future(self._join(room_id, self._waiting))
        try:
            yield
        finally:
            joining.cancel()
            await asyncio.wait({joining})

    async def _join(self, room_id: RoomId, waiting: Callable[[RoomId], Sequence[WorkItem]]) -> None:
        news = self._news[room_id] = asyncio.Event()
        try:
            while True:
                news.clear()
                for item in waiting(room_id):
                    if not await self._joins(item, self._amending.in_hand(room_id)):
                        break
                await news.wait()
        finally:
            del self._news[room_id]

    async def _joins(self, item: WorkItem, held: ActiveAnswer | None) -> bool:
        """Whether the item is dealt with, so that the next one may join too."""
        if held is None or not isinstance(item, NewEvent):
            return False
        inbound, first = item.inbound, held.inbound
        if any(joined.request_id == inbound.event_id for joined in held.joined):
            return True
        is_same = (inbound.sender, inbound.thread) == (first.sender, first.thread)
        if inbound.kind is not EventKind.TEXT or not is_same or len(held.joined) >= MOST_JOINED:
            return False
        wanted = await self._wanted(inbound)
        amended = None if wanted is None else self._amending.amended(wanted)
        if amended is None:
            return True  # it is nothing to answer
        question = await self._turns.dry_run(amended)
        if question is None:
            return False
        self._amending.join(held, question)
        return True
