"""Delivery: the outbox's rows on their way out, each room's in order, rooms side by side."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import structlog

from fsm.effects import NewRoom, OutboxRow
from fsm.failpoints import reach
from fsm.ids import EventId, RoomId, TransactionId
from matrix.effects import Effects
from matrix.errors import MatrixError, RateLimited, is_permanent
from matrix.homeserver import Homeserver
from matrix.making import RoomMaker

_log = structlog.get_logger(__name__)

Delivered = Callable[[OutboxRow, EventId | None], Awaitable[None]]
Made = Callable[[OutboxRow, RoomId | None, str], Awaitable[None]]
Park = Callable[[OutboxRow, str], Awaitable[None]]

ROOMS_AT_A_TIME = 8
"""So many rooms are being made at a time: a homeserver has other things to do."""


class Delivery:
    """Delivers rows until the homeserver has acknowledged them.

    Args:
        homeserver: Where they go.
        maker: Makes the rooms that are asked for.
        delivered: Is told of each row that is done, with the event that it became, if any.
        made: Is told of each room that was asked for: its id, or None and why there is none. It
            deals with the row.
        park: Is told of each row that can never succeed, and why. The room goes on.
        monotonic: A clock, to keep quiet for as long as the homeserver asks.
    """

    def __init__(  # noqa: PLR0913  # two collaborators, three callbacks and a clock
        self,
        homeserver: Homeserver,
        *,
        maker: RoomMaker,
        delivered: Delivered,
        made: Made,
        park: Park,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._homeserver = homeserver
        self._effects = Effects(homeserver)
        self._maker = maker
        self._making = asyncio.Semaphore(ROOMS_AT_A_TIME)
        self._made = made
        self._delivered = delivered
        self._park = park
        self._monotonic = monotonic
        self._owed: dict[RoomId, deque[OutboxRow]] = {}
        self._queued: set[TransactionId] = set()
        self._look_first: set[TransactionId] = set()
        self._waiting: dict[TransactionId, asyncio.Future[EventId | None]] = {}
        self._workers: asyncio.TaskGroup | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._quiet_until = 0.0

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as self._workers:
            for room_id in self._owed:
                self._begin(room_id)
            await asyncio.Event().wait()

    def submit(self, rows: Iterable[OutboxRow], *, look_first: bool = False) -> None:
        """Deliver stored rows. A row that is on its way already is not taken twice.

        Args:
            rows: In ``position`` order.
            look_first: Look in the room whether the row has left already, before it is sent: for
                rows that are older than the homeserver's memory of transaction ids.
        """
        for row in rows:
            if row.transaction_id in self._queued:
                continue
            self._queued.add(row.transaction_id)
            if look_first and row.kind == "send":
                self._look_first.add(row.transaction_id)
            self._idle.clear()
            if row.room_id in self._owed:
                self._owed[row.room_id].append(row)
            else:
                self._owed[row.room_id] = deque([row])
                self._begin(row.room_id)

    async def flushed(self) -> None:
        """Return when nothing is owed."""
        await self._idle.wait()

    async def sent(self, transaction_id: TransactionId) -> EventId | None:
        """The event that a row on its way becomes; None if it becomes none."""
        if transaction_id not in self._queued:
            return None
        future = self._waiting.get(transaction_id)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._waiting[transaction_id] = future
        return await asyncio.shield(future)

    async def send_now(
        self, room_id: RoomId, content: dict[str, Any], transaction_id: TransactionId
    ) -> bool:
        """Send a message that no row stands for, once, unless the homeserver is busy.

        Returns:
            Whether it was taken. If not, it is gone.
        """
        if self._monotonic() < self._quiet_until:
            return False
        try:
            await self._homeserver.send(room_id, "m.room.message", content, transaction_id)
        except RateLimited as limited:
            self._quiet_until = self._monotonic() + limited.retry_after_ms / 1000
            return False
        except MatrixError as error:
            _log.debug("an edit was skipped", room_id=room_id, problem=str(error))
            return False
        return True

    def _begin(self, room_id: RoomId) -> None:
        if self._workers is not None:
            self._workers.create_task(self._work(room_id), name=f"delivery {room_id}")

    async def _work(self, room_id: RoomId) -> None:
        rows = self._owed[room_id]
        while rows:
            event_id = await self._settle(rows[0])
            self._forget(rows.popleft(), event_id)
        del self._owed[room_id]
        if not self._owed:
            self._idle.set()

    def _forget(self, row: OutboxRow, event_id: EventId | None) -> None:
        self._queued.discard(row.transaction_id)
        self._look_first.discard(row.transaction_id)
        future = self._waiting.pop(row.transaction_id, None)
        if future is not None and not future.done():
            future.set_result(event_id)

    async def _settle(self, row: OutboxRow) -> EventId | None:
        """Deliver the row, or park it; the event that it became."""
        try:
            if row.kind == "create":
                await self._make(row)
                return None
            event_id = await self._deliver(row)
        except MatrixError as error:
            if not is_permanent(error):
                raise
            problem = str(error)
        except (KeyError, TypeError, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"
        else:
            self._effects.note(row, event_id)
            await self._delivered(row, event_id)
            reach("delivery.done")
            return event_id
        _log.warning("an effect is parked", room_id=row.room_id, kind=row.kind, problem=problem)
        await self._park(row, problem)
        reach("delivery.parked")
        return None

    async def _deliver(self, row: OutboxRow) -> EventId | None:
        if row.kind not in self._effects.kinds:
            problem = f"no such kind of effect: {row.kind!r}"
            raise ValueError(problem)
        logins = self._homeserver.logins

        async def attempt() -> EventId | None:
            # A login in between may have cost the homeserver its memory of the earlier tries.
            doubtful = row.transaction_id in self._look_first or self._homeserver.logins != logins
            return await self._effects.attempt(row, look_first=doubtful)

        return await self._homeserver.persist(attempt)

    async def _make(self, row: OutboxRow) -> None:
        """Have the room made; whoever asked for it then deals with the row."""
        room_id, problem = None, ""
        wish = NewRoom(**row.payload)
        try:
            async with self._making:
                room_id = await self._homeserver.persist(lambda: self._maker.make(wish))
        except MatrixError as error:
            if not is_permanent(error):
                raise
            problem = str(error)
        await self._made(row, room_id, problem)
        reach("delivery.made")
