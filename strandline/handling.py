"""Handling: what becomes of each thing that arrives, whatever goes wrong on the way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeVar

import structlog
from attrs import frozen

from durable import Commit, Store
from durable.errors import StoreUnavailable
from fsm import Inbound, Kind, Tongue
from fsm.effects import ATTEMPT_ORDINALS, OutboxRow, Reply
from fsm.failpoints import reach
from fsm.ids import EventId, RoomId, UserId
from matrix import Gap
from strandline.asking import Asking
from strandline.checkpoint import Batch, Checkpoint
from strandline.replies import reply_rows
from strandline.turns import Turns

_log = structlog.get_logger(__name__)

T = TypeVar("T")

TRIES = 5
"""So often a turn that raises is tried, with growing pauses, before its event is parked."""

STORE_PAUSE_SECONDS = 1.0
"""How long to wait before a store that can't be written is tried again."""


@frozen
class Arrived:
    """An event of a sync response."""

    inbound: Inbound
    batch: Batch


@frozen
class Missing:
    """A hole in a room's timeline, to be filled before anything later in the room."""

    gap: Gap
    batch: Batch


@frozen
class Again:
    """An event to be handled once more, known by its id since the process has died in between."""

    room_id: RoomId
    event_id: EventId
    attempt: int


Item = Arrived | Missing | Again


class Shore(Protocol):
    """What handling needs of the homeserver."""

    def fill(self, gap: Gap) -> AsyncIterator[Inbound]:
        """The events that a gap hides, in order."""

    async def event(self, room_id: RoomId, event_id: EventId) -> Inbound | None:
        """One event by its id; None if it is gone."""

    async def decrypt_later(self, inbound: Inbound) -> Inbound | None:
        """The event once its key has come; itself if the key stays away; None if it is no text."""


class Handling:
    """Handles one item at a time for each room, and never raises for what is in the item."""

    def __init__(  # noqa: PLR0913  # the parts that meet here
        self,
        *,
        store: Store,
        turns: Turns,
        asking: Asking,
        shore: Shore,
        checkpoint: Checkpoint,
        submit: Callable[[tuple[OutboxRow, ...]], None],
        is_allowed: Callable[[UserId], bool],
        tongue_of: Callable[[UserId], Awaitable[Tongue]],
    ) -> None:
        self._store = store
        self._turns = turns
        self._asking = asking
        self._shore = shore
        self._checkpoint = checkpoint
        self._submit = submit
        self._is_allowed = is_allowed
        self._tongue_of = tongue_of

    async def handle(self, item: Item) -> None:
        """Handle one item to its end."""
        match item:
            case Arrived(inbound=inbound, batch=batch):
                await self._event(inbound, batch)
                self._checkpoint.done(batch)
            case Missing(gap=gap, batch=batch):
                async for inbound in self._shore.fill(gap):
                    await self._event(inbound, batch)
                self._checkpoint.done(batch)
            case Again():
                await self._again(item)

    async def _again(self, item: Again) -> None:
        inbound = await self._shore.event(item.room_id, item.event_id)
        if inbound is None:
            await insist(lambda: self._store.commit(Commit(closes=item.event_id)))
        else:
            await self._attempts(inbound, item.attempt)

    async def _event(self, inbound: Inbound, batch: Batch) -> None:
        reach("event.arrived")
        batch.passed.append(inbound.event_id)
        if await insist(lambda: self._store.is_handled(inbound.event_id)):
            return
        if inbound.kind in (Kind.TEXT, Kind.UNREADABLE) and not self._is_allowed(inbound.sender):
            return
        readable = inbound
        if inbound.kind is Kind.UNREADABLE:
            late = await self._shore.decrypt_later(inbound)
            if late is None:
                return
            readable = late
        await self._attempts(readable, 0)

    async def _attempts(self, inbound: Inbound, attempt: int) -> None:
        for tries in range(1, TRIES + 1):
            try:
                await insist(lambda: self._take(inbound, attempt))
            except Exception as error:  # noqa: BLE001  # parked with its error, which `parked list` shows
                _log.exception("turn failed", event_id=inbound.event_id, tries=tries)
                if tries == TRIES:
                    await self._park(inbound, attempt, error)
                else:
                    await asyncio.sleep(0.1 * 2**tries)
            else:
                return

    async def _take(self, inbound: Inbound, attempt: int) -> None:
        outcome = await self._turns.take(inbound, attempt)
        self._submit(outcome.rows)
        if outcome.question is not None:
            await self._asking.answer(outcome.question, attempt)
        for reopened in outcome.reopened:
            await self._attempts(reopened.inbound, reopened.attempt)

    async def _park(self, inbound: Inbound, attempt: int, error: Exception) -> None:
        tongue = await insist(lambda: self._tongue_of(inbound.sender))
        told = Reply(
            room_id=inbound.room_id,
            text=tongue.t(
                "Something went wrong on my side with this message. It is kept for the operator; "
                "please go on without it."
            ),
            in_reply_to=inbound.event_id,
        )
        last = ATTEMPT_ORDINALS - 1
        rows = tuple(reply_rows(told, inbound.event_id, attempt=attempt, index=last))
        problem = f"{type(error).__name__}: {error}"
        reach("park.before")
        stored = await insist(
            lambda: self._store.park_event(
                inbound.event_id, inbound.room_id, error=problem, attempts=TRIES, outbox=rows
            )
        )
        reach("park.after")
        self._submit(stored)


async def insist(operation: Callable[[], Awaitable[T]]) -> T:
    """Do it; while the store can't be written, wait and do it again."""
    warned = False
    while True:
        try:
            result = await operation()
        except StoreUnavailable as unavailable:
            if not warned:
                _log.error("store unavailable, no turns are taken", problem=str(unavailable))
            warned = True
            await asyncio.sleep(STORE_PAUSE_SECONDS)
        else:
            if warned:
                _log.warning("store available again")
            return result
