"""Delivery of the outbox's rows: in order within a room, in parallel between rooms."""

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Protocol

import structlog
from attrs import evolve

from fsm.failpoints import reach
from fsm.outbox import (
    CreateRoomRow,
    EditRow,
    InviteRow,
    Json,
    OutboxRow,
    ReportedRow,
    SendRow,
    StateRow,
    UnreadableRow,
)
from fsm.values.ids import EventId, RoomId, TransactionId
from matrix.api import fields
from matrix.api.content import is_redacted, read_answer_ref
from matrix.api.errors import MatrixError, RateLimited, is_permanent
from matrix.api.homeserver import Homeserver
from matrix.outbound.messages import MESSAGE
from matrix.outbound.queues import RoomQueues
from matrix.outbound.rate import EditRateLimiter
from matrix.outbound.requests import RowRequests
from matrix.outbound.room_creation import RoomCreator

_log = structlog.get_logger(__name__)

TRANSACTION_ID_LIFETIME_MS = 12 * 3600 * 1000
"""How long the homeserver is expected to remember a transaction id. The event of an older row is
searched for in its room before the row is sent again. Synapse drops transaction ids after 24 hours,
and those of another device at once; clocks may differ."""

MAX_BACKLOG = 50
"""Maximum pending rows of a room. With more, the room's next event is not handled yet."""

QUESTION_CHECK_AGE_MS = 5_000
"""An answer's row that is older than this is sent only after the question was read again: it may
have been redacted since, perhaps while the bot was down."""

MAX_ROOM_CREATIONS = 8
"""Maximum rooms that are created at the same time, so that the homeserver is not overloaded."""


class DeliveryOutcomes(Protocol):
    """Receives the outcome of each row.

    Each method must have deleted or parked the row when it returns.
    """

    async def delivered(self, row: OutboxRow, event_id: EventId | None) -> None:
        """Called when a row was delivered, or when there is nothing to send for it any more.

        Args:
            row: The row.
            event_id: The event that the row became; None if it became none.
        """

    async def reported(self, row: ReportedRow, room_id: RoomId | None, problem: str) -> None:
        """Called when a row whose outcome is an inbound event was delivered or refused.

        The method must handle that event in a turn, whose commit deletes the row, or park the row.

        Args:
            row: The row.
            room_id: The room that was created, or the row's room; None if the homeserver refused
                the row's request.
            problem: Why the homeserver refused; empty if it did not refuse.
        """

    async def failed(self, row: OutboxRow, problem: str) -> None:
        """Called when a row can never succeed. The room's further rows are still delivered.

        Args:
            row: The row.
            problem: Why it can't succeed.
        """


class Delivery:
    """Delivers outbox rows. Each is retried until the homeserver acknowledges or refuses it.

    Args:
        homeserver: The homeserver.
        room_creator: Creates rooms.
        is_known_redacted: Called with a room id and an event id; returns whether that message is
            known to be redacted.
        monotonic: Returns a monotonic clock's time in seconds, for rate limits.
        now: Returns the current time, for the age of a row.
    """

    def __init__(
        self,
        homeserver: Homeserver,
        *,
        room_creator: RoomCreator,
        is_known_redacted: Callable[[RoomId, EventId], bool] = lambda *_: False,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._homeserver = homeserver
        self._requests = RowRequests(homeserver, monotonic)
        self._room_creator = room_creator
        self._making = asyncio.Semaphore(MAX_ROOM_CREATIONS)
        self._is_known_redacted = is_known_redacted
        self._monotonic = monotonic
        self._now = now
        self._queues: RoomQueues[OutboxRow] = RoomQueues()
        self._submitted: set[TransactionId] = set()
        self._edit_rate = EditRateLimiter(monotonic)
        self._rate_limited: set[TransactionId] = set()

    async def run(self, outcomes: DeliveryOutcomes) -> None:
        """Deliver rows until cancelled, and report the outcome of each to ``outcomes``."""

        async def handle(row: OutboxRow) -> None:
            await self._settle(row, outcomes)
            self._submitted.discard(row.transaction_id)

        await self._queues.run(handle)

    def submit(self, rows: Iterable[OutboxRow]) -> None:
        """Queue stored rows for delivery. They must be in ``position`` order.

        A row that was submitted before and is still pending is not added again.
        """
        for row in rows:
            if row.transaction_id not in self._submitted:
                self._submitted.add(row.transaction_id)
                self._queues.add(row.room_id, row)

    async def drained(self) -> None:
        """Wait until no row is pending."""
        await self._queues.drained()

    async def wait_for_backlog(self, room_id: RoomId) -> None:
        """Wait until the room has at most ``MAX_BACKLOG`` pending rows.

        Call it before each event of the room is handled. Otherwise answers would accumulate if the
        homeserver accepts them more slowly than people write.
        """
        await self._queues.wait_for_backlog(room_id, MAX_BACKLOG)

    async def send_now(self, room_id: RoomId, content: Json, transaction_id: TransactionId) -> bool:
        """Send a message that has no outbox row, such as an edit of an answer in progress.

        There is only one attempt, and none if the rate of edits does not allow it. Rows have
        priority: nothing is sent while the request of a row is rate limited.

        Returns:
            Whether the message was sent.
        """
        if self._rate_limited or not self._edit_rate.allows(room_id):
            return False
        began = self._monotonic()
        try:
            await self._homeserver.send(room_id, MESSAGE, content, transaction_id)
        except RateLimited as limited:
            self._edit_rate.rate_limited(limited.retry_after_ms)
            return False
        except MatrixError as error:
            _log.debug("an edit was skipped", room_id=room_id, problem=str(error))
            return False
        self._edit_rate.succeeded(self._monotonic() - began)
        return True

    async def _settle(self, row: OutboxRow, outcomes: DeliveryOutcomes) -> None:
        """Deliver the row and report its outcome."""
        if isinstance(row, UnreadableRow):
            await self._fail(row, row.problem, outcomes)
            return
        try:
            if isinstance(row, CreateRoomRow):
                await self._make(row, outcomes)
                return
            event_id = await self._deliver(row)
        except MatrixError as error:
            if not is_permanent(error):
                raise
            await self._refuse(row, str(error), outcomes)
        except (KeyError, TypeError, ValueError) as error:
            await self._refuse(row, f"{type(error).__name__}: {error}", outcomes)
        else:
            await self._done(row, event_id, outcomes)

    async def _done(
        self, row: OutboxRow, event_id: EventId | None, outcomes: DeliveryOutcomes
    ) -> None:
        self._requests.remember_event_id(row, event_id)
        if isinstance(row, StateRow) and row.report_to is not None:
            await outcomes.reported(row, row.room_id, "")
            reach("delivery.told")
            return
        await outcomes.delivered(row, event_id)
        reach("delivery.done")

    async def _refuse(self, row: OutboxRow, problem: str, outcomes: DeliveryOutcomes) -> None:
        if not isinstance(row, StateRow | InviteRow) or row.report_to is None:
            await self._fail(row, problem, outcomes)
            return
        _log.warning("an effect is refused", room_id=row.room_id, kind=row.kind, problem=problem)
        await outcomes.reported(row, None, problem)
        reach("delivery.told")

    async def _fail(self, row: OutboxRow, problem: str, outcomes: DeliveryOutcomes) -> None:
        _log.warning("an effect is parked", room_id=row.room_id, kind=row.kind, problem=problem)
        await outcomes.failed(row, problem)
        reach("delivery.parked")

    async def _deliver(self, row: OutboxRow) -> EventId | None:
        logins = self._homeserver.login_count

        async def attempt() -> EventId | None:
            wanted = await self._still_wanted(row)
            if wanted is None:
                return None
            doubtful = self._homeserver.login_count != logins or self._may_be_forgotten(row)
            try:
                return await self._requests.attempt(wanted, look_first=doubtful)
            except RateLimited as limited:
                self._rate_limited.add(row.transaction_id)
                self._edit_rate.rate_limited(limited.retry_after_ms)
                raise

        try:
            return await self._homeserver.retry(attempt)
        finally:
            self._rate_limited.discard(row.transaction_id)

    async def _still_wanted(self, row: OutboxRow) -> OutboxRow | None:
        """Return the row to send, depending on whether the question of an answer was redacted.

        Returns:
            The row itself if it is no answer, or if its question was not redacted. Otherwise the
            row with the content ``if_withdrawn``; None, to send nothing, if it has no such content.
        """
        if not await self._is_withdrawn(row):
            return row
        _log.info("an answer is withdrawn with its question", room_id=row.room_id)
        if not isinstance(row, SendRow | EditRow) or row.if_withdrawn is None:
            return None
        return evolve(row, content=row.if_withdrawn)

    async def _is_withdrawn(self, row: OutboxRow) -> bool:
        """Return whether the row is an answer whose question was redacted since the row was stored.

        In two cases the result is False although the question was redacted, so that the row is
        sent. The first message of a streamed answer is withdrawn by the answer in progress. An edit
        whose answer is empty contains no text of the agent.
        """
        if not isinstance(row, SendRow | EditRow) or row.stream_of is not None:
            return False
        new = fields.fields(row.content, "m.new_content")
        mark = read_answer_ref(new or row.content)
        if mark is None or (new and mark.is_empty):
            return False
        if self._is_known_redacted(row.room_id, mark.question):
            return True
        if not row.created_at_ms or self._age_ms(row) <= QUESTION_CHECK_AGE_MS:
            return False
        question = await self._homeserver.read_or_default(
            row.room_id, lambda: self._homeserver.event(row.room_id, mark.question), None
        )
        return is_redacted(question)

    def _age_ms(self, row: OutboxRow) -> float:
        return self._now().timestamp() * 1000 - row.created_at_ms

    def _may_be_forgotten(self, row: OutboxRow) -> bool:
        """Return whether the homeserver may have dropped the row's transaction id.

        If so, and if an earlier attempt arrived, sending the row again would create a second event.
        """
        if not row.created_at_ms:  # it was never stored, so it was never sent before
            return False
        is_before_login = row.created_at_ms <= self._homeserver.logged_in_at_ms
        return is_before_login or not 0 <= self._age_ms(row) <= TRANSACTION_ID_LIFETIME_MS

    async def _make(self, row: CreateRoomRow, outcomes: DeliveryOutcomes) -> None:
        """Create the room; report the new room, or why the homeserver refused, to ``outcomes``."""
        room_id, problem = None, ""
        try:
            async with self._making:
                room_id = await self._homeserver.retry(lambda: self._room_creator.make(row.room))
        except MatrixError as error:
            if not is_permanent(error):
                raise
            problem = str(error)
        await outcomes.reported(row, room_id, problem)
        reach("delivery.made")
