"""Delivery: the outbox's rows on their way out, each room's in order, rooms side by side."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import structlog
from attrs import evolve

from fsm.effects import NewRoom, OutboxRow
from fsm.failpoints import reach
from fsm.values.ids import EventId, RoomId, TransactionId
from matrix.api import fields
from matrix.api.errors import MatrixError, RateLimited, is_permanent
from matrix.api.homeserver import Homeserver
from matrix.inbound.parse import is_redacted
from matrix.outbound.markdown import read_answer
from matrix.outbound.rate import EditPace
from matrix.outbound.requests import Effects
from matrix.outbound.room_creation import RoomCreator

_log = structlog.get_logger(__name__)

Delivered = Callable[[OutboxRow, EventId | None], Awaitable[None]]
Made = Callable[[OutboxRow, RoomId | None, str], Awaitable[None]]
Park = Callable[[OutboxRow, str], Awaitable[None]]

REMEMBERED_MS = 12 * 3600 * 1000
"""Rows older than this are looked for in their room before they are sent again. Synapse forgets
transaction ids after 24 hours, and at once those of another device; clocks may differ."""

MOST_OWED = 50
"""So many rows may wait for one room; its further events are handled when some have left."""

WAITED_MS = 5_000
"""An answer that has waited longer is sent only after a look at its question, which may have been
taken back since, perhaps while the bot was down."""

ROOMS_AT_A_TIME = 8
"""So many rooms are being made at a time: a homeserver has other things to do."""


class Delivery:
    """Delivers rows until the homeserver has acknowledged them.

    Args:
        homeserver: Where they go.
        maker: Makes the rooms that are asked for.
        delivered: Is told of each row that is done, with the event that it became, if any.
        made: Is told of each room that was asked for: its id, or None and why there is none. It
            deals with the row. It is told too of other rows that somebody wants to hear of: their
            room, or None and why they are refused.
        park: Is told of each row that can never succeed, and why. The room goes on.
        is_taken_back: Whether a message is known to have been taken back.
        monotonic: A clock, to keep quiet for as long as the homeserver asks.
        now: The wall clock, to tell how old a row is.
    """

    def __init__(  # noqa: PLR0913  # two collaborators, three callbacks and a clock
        self,
        homeserver: Homeserver,
        *,
        maker: RoomCreator,
        delivered: Delivered,
        made: Made,
        park: Park,
        is_taken_back: Callable[[RoomId, EventId], bool] = lambda *_: False,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._homeserver = homeserver
        self._effects = Effects(homeserver, monotonic)
        self._maker = maker
        self._making = asyncio.Semaphore(ROOMS_AT_A_TIME)
        self._made = made
        self._delivered = delivered
        self._park = park
        self._is_taken_back = is_taken_back
        self._monotonic = monotonic
        self._now = now
        self._owed: dict[RoomId, deque[OutboxRow]] = {}
        self._queued: set[TransactionId] = set()
        self._gone = asyncio.Event()
        self._workers: asyncio.TaskGroup | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._pace = EditPace(monotonic)
        self._held_up: set[TransactionId] = set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as self._workers:
            for room_id in self._owed:
                self._begin(room_id)
            await asyncio.Event().wait()

    def submit(self, rows: Iterable[OutboxRow]) -> None:
        """Deliver stored rows, given in ``position`` order.

        A row that is on its way already is not taken twice.
        """
        for row in rows:
            if row.transaction_id in self._queued:
                continue
            self._queued.add(row.transaction_id)
            self._idle.clear()
            if row.room_id in self._owed:
                self._owed[row.room_id].append(row)
            else:
                self._owed[row.room_id] = deque([row])
                self._begin(row.room_id)

    async def flushed(self) -> None:
        """Return when nothing is owed."""
        await self._idle.wait()

    async def eased(self, room_id: RoomId) -> None:
        """Return when the room is not owed more than ``MOST_OWED`` rows.

        Who handles a room's events waits here, so that what people write does not pile up as
        answers which the homeserver takes more slowly.
        """
        while len(self._owed.get(room_id, ())) > MOST_OWED:
            await self._gone.wait()

    async def send_now(
        self, room_id: RoomId, content: dict[str, Any], transaction_id: TransactionId
    ) -> bool:
        """Send a message that no row stands for, once, unless the homeserver is busy.

        Rows go first: while the homeserver lets one wait, nothing is sent that none stands for.

        Returns:
            Whether it was taken. If not, it is gone.
        """
        if self._held_up or not self._pace.may(room_id):
            return False
        began = self._monotonic()
        try:
            await self._homeserver.send(room_id, "m.room.message", content, transaction_id)
        except RateLimited as limited:
            self._pace.refused(limited.retry_after_ms)
            return False
        except MatrixError as error:
            _log.debug("an edit was skipped", room_id=room_id, problem=str(error))
            return False
        self._pace.taken(self._monotonic() - began)
        return True

    def _begin(self, room_id: RoomId) -> None:
        if self._workers is not None:
            self._workers.create_task(self._work(room_id), name=f"delivery {room_id}")

    async def _work(self, room_id: RoomId) -> None:
        rows = self._owed[room_id]
        while rows:
            await self._settle(rows[0])
            self._forget(rows.popleft())
        del self._owed[room_id]
        if not self._owed:
            self._idle.set()

    def _forget(self, row: OutboxRow) -> None:
        self._queued.discard(row.transaction_id)
        self._gone.set()
        self._gone = asyncio.Event()

    async def _settle(self, row: OutboxRow) -> None:
        """Deliver the row, or park it."""
        try:
            if row.kind == "create":
                await self._make(row)
                return
            event_id = await self._deliver(row)
        except MatrixError as error:
            if not is_permanent(error):
                raise
            problem = str(error)
        except (KeyError, TypeError, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"
        else:
            self._effects.note(row, event_id)
            if row.kind == "state" and "asked" in row.payload:
                await self._made(row, row.room_id, "")
                reach("delivery.told")
                return
            await self._delivered(row, event_id)
            reach("delivery.done")
            return
        if "asked" in row.payload:
            _log.warning(
                "an effect is refused", room_id=row.room_id, kind=row.kind, problem=problem
            )
            await self._made(row, None, problem)
            reach("delivery.told")
            return
        _log.warning("an effect is parked", room_id=row.room_id, kind=row.kind, problem=problem)
        await self._park(row, problem)
        reach("delivery.parked")

    async def _deliver(self, row: OutboxRow) -> EventId | None:
        if row.kind not in self._effects.kinds:
            problem = f"no such kind of effect: {row.kind!r}"
            raise ValueError(problem)
        logins = self._homeserver.logins

        async def attempt() -> EventId | None:
            leaves = await self._still_wanted(row)
            if leaves is None:
                return None
            doubtful = self._homeserver.logins != logins or self._may_be_forgotten(row)
            try:
                return await self._effects.attempt(leaves, look_first=doubtful)
            except RateLimited as limited:
                self._held_up.add(row.transaction_id)
                self._pace.refused(limited.retry_after_ms)
                raise

        try:
            return await self._homeserver.retry(attempt)
        finally:
            self._held_up.discard(row.transaction_id)

    async def _still_wanted(self, row: OutboxRow) -> OutboxRow | None:
        """The row, or what leaves in its place if it is withdrawn; None for nothing."""
        if not await self._is_withdrawn(row):
            return row
        _log.info("an answer is withdrawn with its question", room_id=row.room_id)
        instead = row.payload.get("instead")
        return instead and evolve(row, payload=row.payload | {"content": instead})

    async def _is_withdrawn(self, row: OutboxRow) -> bool:
        """Whether the row is an agent's answer to a question that was taken back while it waited.

        The first message of an answer that grows is left to whoever gives the answer. An edit that
        holds no word of the agent's says perhaps just that: it leaves.
        """
        content = fields.fields(row.payload, "content")
        new = fields.fields(content, "m.new_content")
        mark = read_answer(new or content) if row.kind in ("send", "edit") else None
        if mark is None or row.stream_of is not None or (new and mark.is_empty):
            return False
        if self._is_taken_back(row.room_id, mark.question):
            return True
        if not row.created_at_ms or self._age_ms(row) <= WAITED_MS:
            return False
        question = await self._homeserver.read_or_default(
            row.room_id, lambda: self._homeserver.event(row.room_id, mark.question), None
        )
        return is_redacted(question)

    def _age_ms(self, row: OutboxRow) -> float:
        return self._now().timestamp() * 1000 - row.created_at_ms

    def _may_be_forgotten(self, row: OutboxRow) -> bool:
        """Whether the homeserver may have had the row and know its transaction id no more."""
        if not row.created_at_ms:  # it was never stored, so nobody has tried it
            return False
        is_before_login = row.created_at_ms <= self._homeserver.logged_in_at_ms
        return is_before_login or not 0 <= self._age_ms(row) <= REMEMBERED_MS

    async def _make(self, row: OutboxRow) -> None:
        """Have the room made; whoever asked for it then deals with the row."""
        room_id, problem = None, ""
        wish = NewRoom(**row.payload)
        try:
            async with self._making:
                room_id = await self._homeserver.retry(lambda: self._maker.make(wish))
        except MatrixError as error:
            if not is_permanent(error):
                raise
            problem = str(error)
        await self._made(row, room_id, problem)
        reach("delivery.made")
