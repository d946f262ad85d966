"""The pace of edits: what a homeserver takes, shared among all answers that grow at a time.

Edits are a courtesy: a first message, a whole answer and everything else that is stored goes before
them. How many edits the homeserver takes is found out as a sender finds out what a network takes: a
little more while all is well, half as many when it refuses one (additive increase, multiplicative
decrease: Chiu and Jain, 1989).
"""

import time
from collections.abc import Callable

from fsm.values.ids import RoomId

FIRST_RATE = 20.0
"""So many edits a second at first."""

LEAST_RATE = 0.05
MOST_RATE = 500.0

MORE = 0.25
"""Each edit that is taken adds so many a second."""

SLOW_SECONDS = 0.75
"""A homeserver that takes longer for an edit has enough to do."""

SLOWER = 0.9

IDLE_SECONDS = 15.0
"""A room that wants no edit for so long has no share."""


class EditPace:
    """Says which edit may leave now. One that may not is made later, with the text as it then is.

    Args:
        monotonic: A clock, in seconds.

    Attributes:
        rate: So many edits a second are made.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.rate = FIRST_RATE
        self._monotonic = monotonic
        self._wanted: dict[RoomId, float] = {}
        self._made: dict[RoomId, float] = {}
        self._quiet_until = 0.0
        self._swept = 0.0

    def may(self, room_id: RoomId) -> bool:
        """Whether the room's edit may leave now: each room has its share."""
        now = self._monotonic()
        self._wanted[room_id] = now
        self._sweep(now)
        if now < self._quiet_until:
            return False
        share = self.rate / len(self._wanted)
        if now - self._made.get(room_id, float("-inf")) < 1 / share:
            return False
        self._made[room_id] = now
        return True

    def taken(self, seconds: float) -> None:
        """An edit was taken, after so many seconds."""
        if seconds > SLOW_SECONDS:
            self.rate = max(LEAST_RATE, self.rate * SLOWER)
        else:
            self.rate = min(MOST_RATE, self.rate + MORE)

    def refused(self, retry_after_ms: int) -> None:
        """The homeserver wants to be left alone for so long, by edits or by what is more urgent."""
        now = self._monotonic()
        if now >= self._quiet_until:  # else it refuses what left before it said so
            self.rate = max(LEAST_RATE, self.rate / 2)
        self._quiet_until = max(self._quiet_until, now + retry_after_ms / 1000)

    def _sweep(self, now: float) -> None:
        if now - self._swept < 1:
            return
        self._swept = now
        # one that was skipped for want of a share wants one still
        idle = max(IDLE_SECONDS, 2 * len(self._wanted) / self.rate)
        for room_id in [room for room, at in self._wanted.items() if now - at > idle]:
            del self._wanted[room_id]
            self._made.pop(room_id, None)
