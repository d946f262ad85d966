"""Limits the rate at which the bot edits messages while it streams answers.

The rate is shared among all answers in progress. These edits are optional: outbox rows go first.
The rate adapts to the homeserver by additive increase and multiplicative decrease (Chiu and Jain,
1989): it rises slightly after each edit that the homeserver accepts, and is halved after one that
it refuses.
"""

import time
from collections.abc import Callable

from fsm.values.ids import RoomId

INITIAL_RATE = 20.0
"""Edits per second at first."""

MIN_RATE = 0.05
MAX_RATE = 500.0

RATE_INCREASE = 0.25
"""What each accepted edit adds to the rate, in edits per second."""

SLOW_SECONDS = 0.75
"""An edit that takes longer lowers the rate: the homeserver is under load."""

SLOW_FACTOR = 0.9
"""Factor on the rate after a slow edit."""

IDLE_SECONDS = 15.0
"""A room without an edit for this time loses its share of the rate."""


class EditRateLimiter:
    """Decides whether an edit may be sent now.

    An edit that may not be sent is skipped, because the room's next edit will contain its text too.

    Args:
        monotonic: Returns a monotonic clock's time in seconds.

    Attributes:
        rate: Edits per second, of all rooms together.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.rate = INITIAL_RATE
        self._monotonic = monotonic
        self._requested_at: dict[RoomId, float] = {}
        self._sent_at: dict[RoomId, float] = {}
        self._no_edits_until = 0.0
        self._swept_at = 0.0

    def allows(self, room_id: RoomId) -> bool:
        """Return whether an edit may be sent to the room now. If it may, it counts as sent.

        All rooms with recent edits have equal shares of the rate.
        """
        now = self._monotonic()
        self._requested_at[room_id] = now
        self._sweep(now)
        if now < self._no_edits_until:
            return False
        share = self.rate / len(self._requested_at)
        if now - self._sent_at.get(room_id, float("-inf")) < 1 / share:
            return False
        self._sent_at[room_id] = now
        return True

    def succeeded(self, seconds: float) -> None:
        """Adapt the rate to an edit that was accepted.

        Args:
            seconds: How long its request took.
        """
        if seconds > SLOW_SECONDS:
            self.rate = max(MIN_RATE, self.rate * SLOW_FACTOR)
        else:
            self.rate = min(MAX_RATE, self.rate + RATE_INCREASE)

    def rate_limited(self, retry_after_ms: int) -> None:
        """Halve the rate and pause all edits, because the homeserver has rate limited a request.

        During such a pause, a further call can lengthen the pause, but does not halve the rate
        again.

        Args:
            retry_after_ms: How long edits pause.
        """
        now = self._monotonic()
        if now >= self._no_edits_until:  # otherwise the request was sent before the limit was known
            self.rate = max(MIN_RATE, self.rate / 2)
        self._no_edits_until = max(self._no_edits_until, now + retry_after_ms / 1000)

    def _sweep(self, now: float) -> None:
        if now - self._swept_at < 1:
            return
        self._swept_at = now
        # a room that was skipped for its small share is not idle
        idle = max(IDLE_SECONDS, 2 * len(self._requested_at) / self.rate)
        for room_id in [room for room, at in self._requested_at.items() if now - at > idle]:
            del self._requested_at[room_id]
            self._sent_at.pop(room_id, None)
