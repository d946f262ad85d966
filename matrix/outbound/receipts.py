"""Read receipts and typing notifications. Best effort: a failed one is not retried.

They are sent in the background: no turn waits for them.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

import structlog

from fsm.values.ids import EventId, RoomId
from matrix.api.errors import MatrixError, RateLimited
from matrix.api.homeserver import Homeserver

_log = structlog.get_logger(__name__)

TYPING_DELAY_SECONDS = 0.5
"""How long the bot must be working on an event before it is shown as typing."""

TYPING_RENEWAL_SECONDS = 20.0
"""How often a typing notification is renewed."""


class Receipts:
    """Sends read receipts and typing notifications.

    If several read receipts of a room are waiting, only the newest is sent.

    Args:
        homeserver: The homeserver.
        monotonic: Returns a monotonic clock's time in seconds.
    """

    def __init__(
        self, homeserver: Homeserver, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._rooms = homeserver.rooms
        self._monotonic = monotonic
        self._read: dict[RoomId, EventId] = {}
        self._work_counts: Counter[RoomId] = Counter()
        self._working_since: dict[RoomId, float] = {}
        self._typing_sent_at: dict[RoomId, float] = {}
        self._changed = asyncio.Event()

    def mark_read(self, room_id: RoomId, event_id: EventId) -> None:
        """Queue a read receipt for this event and return."""
        self._read[room_id] = event_id
        self._changed.set()

    @contextmanager
    def typing(self, room_id: RoomId) -> Iterator[None]:
        """Show the bot as typing while the ``with`` body runs.

        The first notification is sent after ``TYPING_DELAY_SECONDS``, if the body still runs then.
        """
        self._work_counts[room_id] += 1
        self._working_since.setdefault(room_id, self._monotonic())
        self._changed.set()
        try:
            yield
        finally:
            self._work_counts[room_id] -= 1
            if not self._work_counts[room_id]:
                del self._work_counts[room_id], self._working_since[room_id]
            self._changed.set()

    async def run(self) -> None:
        """Send read receipts and typing notifications, one after another, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._until_due()):
                    await self._changed.wait()
            self._changed.clear()
            await self._send_due()

    def _due(self, room_id: RoomId) -> float:
        """Return when the room's next typing notification is due, in the clock's seconds."""
        if room_id in self._typing_sent_at:
            return self._typing_sent_at[room_id] + TYPING_RENEWAL_SECONDS
        return self._working_since[room_id] + TYPING_DELAY_SECONDS

    def _until_due(self) -> float | None:
        soonest = min((self._due(room_id) for room_id in self._working_since), default=None)
        return None if soonest is None else max(0.0, soonest - self._monotonic())

    async def _send_due(self) -> None:
        while self._read:
            room_id, event_id = self._read.popitem()
            await self._best_effort(self._rooms.send_read_receipt(room_id, event_id))
        for room_id in [r for r in self._working_since if self._due(r) <= self._monotonic()]:
            self._typing_sent_at[room_id] = self._monotonic()
            await self._best_effort(self._rooms.set_typing(room_id, is_typing=True))
        for room_id in [r for r in self._typing_sent_at if r not in self._working_since]:
            del self._typing_sent_at[room_id]
            await self._best_effort(self._rooms.set_typing(room_id, is_typing=False))

    async def _best_effort(self, request: Awaitable[None]) -> None:
        try:
            await request
        except RateLimited as limited:
            await asyncio.sleep(limited.retry_after_ms / 1000)
        except MatrixError as error:
            _log.debug("a receipt or typing notification failed", problem=str(error))
