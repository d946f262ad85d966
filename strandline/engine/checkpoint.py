"""The checkpoint: the newest sync token below which everything is handled, kept in the store.

A room that is stuck, or in which more arrives than may wait, does not hold it: such a room is left
*behind* the checkpoint, under a token of its own, from which it is read again.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping

from attrs import define, field

from durable import Behind, Progress
from fsm.failpoints import reach
from fsm.values.ids import EventId, RoomId, SyncToken
from fsm.values.inbound import Inbound

STUCK_SECONDS = 5.0
"""Rooms in which something takes longer are left behind."""

FIRST_SECONDS = 0.2
"""The same for what a life finds when it begins: it may be a short one, like those before it, and
if none of them moved the checkpoint, each would have more to read."""


@define(eq=False)
class Batch:
    """One sync response on its way.

    Args:
        token: Where the sync after it goes on.
        left: How many of its items are not handled yet, by room.
        since: The token that was asked from; None for the first sync ever.
        fixed: Rooms whose items can't be read again from ``since``: invites, and rooms that the bot
            left.
        entered: Rooms that the bot came into.
        memberships: The rooms that the bot joined (True) or left (False) in it.
        begun_at: When it arrived, in seconds of the checkpoint's clock.
        passed: The events that were in it, by room.
        is_passed: The checkpoint has moved over it; what is left of it belongs to rooms behind.
    """

    token: SyncToken
    left: Counter[RoomId]
    since: SyncToken | None = None
    fixed: frozenset[RoomId] = frozenset()
    entered: frozenset[RoomId] = frozenset()
    memberships: Mapping[RoomId, bool] = field(factory=dict)
    begun_at: float = 0.0
    passed: dict[RoomId, list[EventId]] = field(factory=dict)
    is_passed: bool = False


class Checkpoint:
    """A low watermark over the batches, as a consumer of a log keeps one.

    Args:
        save: Makes progress durable.
        monotonic: A clock, to notice what is stuck.
    """

    def __init__(
        self,
        save: Callable[[Progress], Awaitable[None]],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._save = save
        self._monotonic = monotonic
        self._batches: deque[Batch] = deque()
        self._moved = asyncio.Event()
        self._open: Counter[RoomId] = Counter()
        self._behind: dict[RoomId, Behind] = {}
        self._skipped: dict[RoomId, SyncToken] = {}
        self._changed: dict[RoomId, Behind | None] = {}
        self._withheld: dict[RoomId, list[EventId]] = {}
        self._passed: list[EventId] = []
        self.newest: SyncToken | None = None
        """The token after the newest batch."""
        self.kept = asyncio.Event()
        """Is set once a token has been saved in this life of the process."""

    def begin(  # noqa: PLR0913  # what there is to know of a response
        self,
        token: SyncToken,
        items: Mapping[RoomId, int],
        *,
        since: SyncToken | None = None,
        fixed: frozenset[RoomId] = frozenset(),
        entered: frozenset[RoomId] = frozenset(),
        memberships: Mapping[RoomId, bool] | None = None,
    ) -> Batch:
        """A batch has arrived, with so many items for each room."""
        batch = Batch(
            token=token,
            left=Counter(items),
            since=since,
            fixed=fixed,
            entered=entered,
            memberships=memberships or {},
            begun_at=self._monotonic(),
        )
        if self.newest is None:
            asyncio.get_running_loop().call_later(FIRST_SECONDS, self._leave_rooms, batch)
        self.newest = token
        self._batches.append(batch)
        self._open.update(items)
        self._look()
        return batch

    def note(self, batch: Batch, inbound: Inbound) -> None:
        """An event of the batch is being handled."""
        batch.passed.setdefault(inbound.room_id, []).append(inbound.event_id)

    def done(self, batch: Batch, room_id: RoomId) -> None:
        """One more of the batch's items for the room is handled."""
        batch.left[room_id] -= 1
        if not batch.left[room_id]:
            del batch.left[room_id]
        self._open[room_id] -= 1
        if not self._open[room_id]:
            del self._open[room_id]
        if batch.is_passed:
            self._withheld.setdefault(room_id, []).extend(batch.passed.pop(room_id, ()))
        if room_id in self._behind and not self._open[room_id] and room_id not in self._skipped:
            self._catch_up(room_id)
        self._look()

    def is_skipping(self, room_id: RoomId) -> bool:
        """Whether what arrives in the room is to be read later, from the room's history."""
        return room_id in self._skipped

    def may_skip(self, batch: Batch, room_id: RoomId) -> bool:
        """Whether the batch's items for the room can be read again, from the room's history."""
        return batch.since is not None and room_id not in batch.fixed | batch.entered

    def skip(self, batch: Batch, room_id: RoomId) -> None:
        """One of the batch's items is to be read later: there is no place for it now."""
        assert batch.since is not None  # noqa: S101  # ``may_skip`` was asked
        self._skipped.setdefault(room_id, batch.since)
        self._leave_behind(room_id)
        self.done(batch, room_id)

    def read_skipped(self, room_id: RoomId) -> Batch | None:
        """What was skipped in the room is read now: the batch that stands for it; None if none was.

        Its ``since`` is where to begin, its ``token`` where to end.
        """
        since = self._skipped.pop(room_id, None)
        if since is None or self.newest is None:
            return None
        left = self._behind[room_id] = self._changed[room_id] = Behind(since)
        self._passed += self._withheld.pop(room_id, ())  # all before it is handled
        return self._stands_for(room_id, left, self.newest)

    def restore(self, room_id: RoomId, left: Behind, token: SyncToken) -> Batch:
        """A room that an earlier life left behind: the batch that stands for what is to be read."""
        self._behind[room_id] = left
        return self._stands_for(room_id, left, token)

    async def run(self) -> None:
        """Save the watermark whenever it has moved; many moves during one save are one more."""
        while True:
            try:
                async with asyncio.timeout(STUCK_SECONDS):
                    await self._moved.wait()
            except TimeoutError:
                self.leave_stuck()
            await self.flush()

    def leave_stuck(self) -> None:
        """Leave the rooms behind that have held the checkpoint for too long."""
        now = self._monotonic()
        for batch in self._batches:
            if now - batch.begun_at < STUCK_SECONDS:
                return
            self._leave_rooms(batch)

    async def flush(self) -> None:
        """Save the watermark now, if it has moved."""
        self._moved.clear()
        token: SyncToken | None = None
        memberships: dict[RoomId, bool] = {}
        while self._batches and self._is_passed(self._batches[0]):
            batch = self._batches.popleft()
            batch.is_passed, token = True, batch.token
            memberships |= batch.memberships
            self._pass(batch)
        passed, self._passed = tuple(self._passed), []
        behind, self._changed = self._changed, {}
        if token is None and not behind:
            self._passed = list(passed)
            return
        reach("checkpoint.save.before")
        await self._save(
            Progress(token=token, passed=passed, memberships=memberships, behind=behind)
        )
        if token is not None:
            self.kept.set()
        reach("checkpoint.save.after")

    def _pass(self, batch: Batch) -> None:
        """The checkpoint moves over the batch, and its events are below it.

        Those of a room that is behind are not: they come again when the room is read.
        """
        for room_id in [*batch.passed]:
            is_behind = room_id in self._behind
            kept = self._withheld.setdefault(room_id, []) if is_behind else self._passed
            kept += batch.passed.pop(room_id)

    def _stands_for(self, room_id: RoomId, left: Behind, token: SyncToken) -> Batch:
        self._open[room_id] += 1
        return Batch(
            token=token,
            left=Counter({room_id: 1}),
            since=left.since,
            entered=frozenset({room_id} if left.is_entered else ()),
            is_passed=True,
        )

    def _leave_rooms(self, batch: Batch) -> None:
        """Leave the rooms behind in which something of the batch is left."""
        for room_id in batch.left.keys() - batch.fixed:
            self._leave_behind(room_id)

    def _leave_behind(self, room_id: RoomId) -> None:
        """Leave it behind, from the oldest batch on in which something of it is left."""
        if room_id in self._behind:
            return
        batches = (b for b in self._batches if room_id in b.left and room_id not in b.fixed)
        oldest = next(batches, None)
        if oldest is not None and oldest.since is not None:
            left = Behind(oldest.since, is_entered=room_id in oldest.entered)
            self._behind[room_id] = self._changed[room_id] = left
            self._moved.set()

    def _catch_up(self, room_id: RoomId) -> None:
        del self._behind[room_id]
        self._changed[room_id] = None
        self._passed += self._withheld.pop(room_id, ())
        self._moved.set()

    def _is_passed(self, batch: Batch) -> bool:
        return all(self._is_behind(room_id, batch) for room_id in batch.left)

    def _is_behind(self, room_id: RoomId, batch: Batch) -> bool:
        """Whether what is left of the batch in the room will be read again after a restart.

        Where the bot came into a room, that begins at its newest invite: so nothing else of the
        room may be left from before.
        """
        left = self._behind.get(room_id)
        if left is None or room_id in batch.fixed:
            return False
        return room_id not in batch.entered or (left.is_entered and left.since == batch.since)

    def _look(self) -> None:
        if self._batches and self._is_passed(self._batches[0]):
            self._moved.set()
