"""Courtesies: read receipts and typing. Best effort: none is tried twice, none is waited for."""

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

PATIENCE_SECONDS = 0.5
"""An answer that takes no longer needs no notice that the bot is at work on it."""

RENEW_SECONDS = 20.0
"""How often the homeserver is told that the bot is still typing."""


class Receipts:
    """Shows people that the bot has seen what they wrote, and is at work on it.

    Args:
        homeserver: Where they are shown it.
        monotonic: A clock, in seconds.
    """

    def __init__(
        self, homeserver: Homeserver, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._rooms = homeserver.rooms
        self._monotonic = monotonic
        self._read: dict[RoomId, EventId] = {}
        self._works: Counter[RoomId] = Counter()
        self._at_work: dict[RoomId, float] = {}
        self._shown: dict[RoomId, float] = {}
        self._news = asyncio.Event()

    def mark_read(self, room_id: RoomId, event_id: EventId) -> None:
        """Have it shown, soon, that the bot has read this far. Never waits."""
        self._read[room_id] = event_id
        self._news.set()

    @contextmanager
    def typing(self, room_id: RoomId) -> Iterator[None]:
        """Have it shown that the bot is typing while the body runs, if that takes a while."""
        self._works[room_id] += 1
        self._at_work.setdefault(room_id, self._monotonic())
        self._news.set()
        try:
            yield
        finally:
            self._works[room_id] -= 1
            if not self._works[room_id]:
                del self._works[room_id], self._at_work[room_id]
            self._news.set()

    async def run(self) -> None:
        """Show it, until cancelled: the newest of each room, one after another."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._until_due()):
                    await self._news.wait()
            self._news.clear()
            await self._show()

    def _due(self, room_id: RoomId) -> float:
        """When the room is to be told that the bot is typing."""
        if room_id in self._shown:
            return self._shown[room_id] + RENEW_SECONDS
        return self._at_work[room_id] + PATIENCE_SECONDS

    def _until_due(self) -> float | None:
        soonest = min((self._due(room_id) for room_id in self._at_work), default=None)
        return None if soonest is None else max(0.0, soonest - self._monotonic())

    async def _show(self) -> None:
        while self._read:
            room_id, event_id = self._read.popitem()
            await self._try(self._rooms.read(room_id, event_id))
        for room_id in [r for r in self._at_work if self._due(r) <= self._monotonic()]:
            self._shown[room_id] = self._monotonic()
            await self._try(self._rooms.typing(room_id, is_typing=True))
        for room_id in [r for r in self._shown if r not in self._at_work]:
            del self._shown[room_id]
            await self._try(self._rooms.typing(room_id, is_typing=False))

    async def _try(self, asked: Awaitable[None]) -> None:
        try:
            await asked
        except RateLimited as limited:
            await asyncio.sleep(limited.retry_after_ms / 1000)
        except MatrixError as error:
            _log.debug("a courtesy was not taken", problem=str(error))
