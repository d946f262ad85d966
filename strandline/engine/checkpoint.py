"""The checkpoint: the newest stored sync token before which every event is handled.

A room that is stuck, or whose queue is full, does not block the checkpoint. Such a room is left
*behind* the checkpoint: another token is stored for the room, from which its history is read again.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable

from attrs import define, evolve, field

from durable.store import Behind, Progress
from fsm.failpoints import reach
from fsm.values.ids import EventId, RoomId, SyncToken
from fsm.values.inbound import Inbound
from matrix import SyncBatch

STUCK_SECONDS = 5.0
"""How long a room may block the checkpoint before the room is left behind."""

FIRST_STUCK_SECONDS = 0.2
"""Like ``STUCK_SECONDS``, but for the first batch of a run. Runs may be short: if none of them
moved the checkpoint, each run would have more to read than the one before."""


@define(eq=False)
class BatchProgress:
    """The progress of handling the events of one sync response.

    Args:
        batch: The response, without its items.
        pending: The number of the response's items that are not handled, by room.
        begun_at: When the response arrived, in seconds of the checkpoint's clock.
        completed: The ids of the response's events whose handling has at least begun, by room.
        is_passed: Whether the checkpoint has moved past the response. If so, all pending items
            belong to rooms that are behind the checkpoint.
    """

    batch: SyncBatch
    pending: Counter[RoomId]
    begun_at: float = 0.0
    completed: dict[RoomId, list[EventId]] = field(factory=dict)
    is_passed: bool = False

    def can_skip(self, room_id: RoomId) -> bool:
        """Whether the room's items may be skipped now, and read later from the room's history."""
        batch = self.batch
        return batch.since is not None and room_id not in batch.fixed | batch.entered


class Checkpoint:
    """Moves the checkpoint when batches are handled, and stores it.

    The checkpoint is a low watermark over the batches, like the offset of a log consumer.

    Args:
        save: Called with the changes to store; it returns when they are stored.
        saved: The token that an earlier run has stored; None at the bot's first start.
        monotonic: Returns the time of a monotonic clock in seconds, to detect rooms that are stuck.
    """

    def __init__(
        self,
        save: Callable[[Progress], Awaitable[None]],
        *,
        saved: SyncToken | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._save = save
        self._monotonic = monotonic
        self._batches: deque[BatchProgress] = deque()
        self._moved = asyncio.Event()
        self._open: Counter[RoomId] = Counter()
        self._behind: dict[RoomId, Behind] = {}
        self._skipped: dict[RoomId, SyncToken] = {}
        self._changed: dict[RoomId, Behind | None] = {}
        self._withheld: dict[RoomId, list[EventId]] = {}
        self._completed: list[EventId] = []
        self.newest: SyncToken | None = None
        """The token after the newest batch; None before this run's first batch."""
        self.is_saved = asyncio.Event()
        """Set once the store holds a token: from then on no event is missed."""
        if saved is not None:
            self.is_saved.set()

    def begin(self, batch: SyncBatch) -> BatchProgress:
        """Register a new batch, and return its progress.

        Call ``done`` once for each of the batch's items.
        """
        items = Counter(item.room_id for item in batch.items)
        progress = BatchProgress(evolve(batch, items=()), Counter(items), self._monotonic())
        if self.newest is None:
            loop = asyncio.get_running_loop()
            loop.call_later(FIRST_STUCK_SECONDS, self._leave_rooms, progress)
        self.newest = batch.next
        self._batches.append(progress)
        self._open.update(items)
        self._check()
        return progress

    def note(self, progress: BatchProgress, inbound: Inbound) -> None:
        """Record that an event of the batch is being handled."""
        progress.completed.setdefault(inbound.room_id, []).append(inbound.event_id)

    def done(self, progress: BatchProgress, room_id: RoomId) -> None:
        """Record that one more of the batch's items for the room is handled."""
        progress.pending[room_id] -= 1
        if not progress.pending[room_id]:
            del progress.pending[room_id]
        self._open[room_id] -= 1
        if not self._open[room_id]:
            del self._open[room_id]
        if progress.is_passed:
            self._withheld.setdefault(room_id, []).extend(progress.completed.pop(room_id, ()))
        if room_id in self._behind and not self._open[room_id] and room_id not in self._skipped:
            self._catch_up(room_id)
        self._check()

    def is_skipping(self, room_id: RoomId) -> bool:
        """Whether new items of the room are skipped and read later from the room's history."""
        return room_id in self._skipped

    def skip(self, progress: BatchProgress, room_id: RoomId) -> None:
        """Record that an item of the batch is skipped, to be read later from the room's history."""
        since = progress.batch.since
        assert since is not None  # noqa: S101  # ``can_skip`` was true
        self._skipped.setdefault(room_id, since)
        self._leave_behind(room_id)
        self.done(progress, room_id)

    def read_skipped(self, room_id: RoomId) -> BatchProgress | None:
        """End the skipping of the room's items; return the history to read instead of them.

        Returns:
            The progress of reading that history, which extends from its batch's ``since`` to its
            ``next``. None if no item of the room was skipped.
        """
        since = self._skipped.pop(room_id, None)
        if since is None or self.newest is None:
            return None
        start = self._behind[room_id] = self._changed[room_id] = Behind(since)
        self._completed += self._withheld.pop(room_id, ())  # all before it is handled
        return self._history(room_id, start, self.newest)

    def restore(self, room_id: RoomId, start: Behind, token: SyncToken) -> BatchProgress:
        """Register a room that an earlier run left behind.

        Args:
            room_id: The room.
            start: Where the part of its history to read begins.
            token: The sync token at which that part ends.

        Returns:
            The progress of reading that part.
        """
        self._behind[room_id] = start
        return self._history(room_id, start, token)

    async def run(self) -> None:
        """Save the checkpoint whenever it has moved, until cancelled.

        If it has not moved for ``STUCK_SECONDS``, move it on without the rooms that block it. These
        rooms get a token of their own, from which a restart reads their events again.
        """
        while True:
            try:
                async with asyncio.timeout(STUCK_SECONDS):
                    await self._moved.wait()
            except TimeoutError:
                self.leave_stuck()
            await self.flush()

    def leave_stuck(self) -> None:
        """Leave each room behind that has blocked the checkpoint for ``STUCK_SECONDS``."""
        now = self._monotonic()
        for progress in self._batches:
            if now - progress.begun_at < STUCK_SECONDS:
                return
            self._leave_rooms(progress)

    async def flush(self) -> None:
        """Save the checkpoint now, if it has moved or a room was left behind or has caught up."""
        self._moved.clear()
        token: SyncToken | None = None
        memberships: dict[RoomId, bool] = {}
        while self._batches and self._is_passed(self._batches[0]):
            progress = self._batches.popleft()
            progress.is_passed, token = True, progress.batch.next
            memberships |= progress.batch.memberships
            self._pass(progress)
        if token is None and not self._changed:
            return
        completed, self._completed = tuple(self._completed), []
        behind, self._changed = self._changed, {}
        reach("checkpoint.save.before")
        await self._save(
            Progress(token=token, completed=completed, memberships=memberships, behind=behind)
        )
        if token is not None:
            self.is_saved.set()
        reach("checkpoint.save.after")

    def _pass(self, progress: BatchProgress) -> None:
        """Record that the checkpoint has moved past the batch, and so past the batch's events.

        The events of a room that is behind are recorded only when the room has caught up, because a
        restart before that reads them again.
        """
        for room_id in [*progress.completed]:
            is_behind = room_id in self._behind
            completed = self._withheld.setdefault(room_id, []) if is_behind else self._completed
            completed += progress.completed.pop(room_id)

    def _history(self, room_id: RoomId, start: Behind, token: SyncToken) -> BatchProgress:
        self._open[room_id] += 1
        entered = frozenset({room_id} if start.is_entered else ())
        history = SyncBatch(start.since, token, items=(), entered=entered)
        return BatchProgress(history, Counter({room_id: 1}), is_passed=True)

    def _leave_rooms(self, progress: BatchProgress) -> None:
        """Leave rooms behind that have pending items of the batch, if they can be read again."""
        for room_id in progress.pending.keys() - progress.batch.fixed:
            self._leave_behind(room_id)

    def _leave_behind(self, room_id: RoomId) -> None:
        """Leave the room behind, to be read again from its oldest batch with pending items."""
        if room_id in self._behind:
            return
        batches = (p.batch for p in self._batches if room_id in p.pending)
        oldest = next((batch for batch in batches if room_id not in batch.fixed), None)
        if oldest is not None and oldest.since is not None:
            start = Behind(oldest.since, is_entered=room_id in oldest.entered)
            self._behind[room_id] = self._changed[room_id] = start
            self._moved.set()

    def _catch_up(self, room_id: RoomId) -> None:
        del self._behind[room_id]
        self._changed[room_id] = None
        self._completed += self._withheld.pop(room_id, ())
        self._moved.set()

    def _is_passed(self, progress: BatchProgress) -> bool:
        return all(self._is_behind(room_id, progress.batch) for room_id in progress.pending)

    def _is_behind(self, room_id: RoomId, batch: SyncBatch) -> bool:
        """Return whether a restart would read the room's pending items of the batch again.

        If so, these items need not hold the checkpoint back. If the bot joined the room in this
        batch, a restart reads the room only from the bot's newest invite on. It reads these items
        only if its reading starts with this batch.
        """
        start = self._behind.get(room_id)
        if start is None or room_id in batch.fixed:
            return False
        return room_id not in batch.entered or (start.is_entered and start.since == batch.since)

    def _check(self) -> None:
        if self._batches and self._is_passed(self._batches[0]):
            self._moved.set()
