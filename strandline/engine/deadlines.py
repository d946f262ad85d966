"""Deadlines of durable states: each is handled once, even if it passed while the bot was down."""

import time
from collections.abc import Callable

from attrs import frozen

from durable.records import Deadline, flow_key
from fsm.records import FLOW_PREFIX
from fsm.values.ids import ConversationKey, EventId
from strandline.engine.retrying_store import RetryingStore


@frozen
class DueDeadline:
    """A deadline that has passed.

    Args:
        flow: The flow's name.
        key: The conversation's key.
        deadline: The deadline as stored.
    """

    flow: str
    key: ConversationKey
    deadline: Deadline

    @property
    def event_id(self) -> EventId:
        """The id of the inbound event whose turn handles the deadline."""
        return EventId(f"expired:{self.flow}:{self.key}:{self.deadline.at_ms}")


RETRY_SECONDS = 600.0
"""A deadline is tried again this long after every try of its turn has failed."""


class Deadlines:
    """Finds deadlines that have passed. Does not return one again while it is in progress.

    Args:
        store: The store of the deadlines.
        flows: The names of the flows with deadlines. If empty, the store is never read.
        monotonic: Returns the time of a monotonic clock, in seconds.
    """

    def __init__(
        self,
        store: RetryingStore,
        flows: frozenset[str],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._flows = flows
        self._monotonic = monotonic
        self._in_progress: set[DueDeadline] = set()
        self._retry_at: dict[DueDeadline, float] = {}

    async def newly_due(self) -> list[DueDeadline]:
        """Return the passed deadlines that are not in progress, and record that they now are."""
        if not self._flows:
            return []
        now = self._monotonic()
        for due in [due for due, at in self._retry_at.items() if at <= now]:
            del self._retry_at[due]
            self.settle(due)
        in_progress = [flow_key(due.flow, due.key) for due in self._in_progress]
        passed = await self._store.due(self._flows, exclude=in_progress)
        found = [_due(key, deadline) for key, deadline in passed.items()]
        new = [due for due in found if due not in self._in_progress]
        self._in_progress.update(new)
        return new

    def settle(self, due: DueDeadline) -> None:
        """Record that the deadline is no longer in progress, because its turn has committed.

        If the same deadline is still stored, ``newly_due`` returns it again.
        """
        self._in_progress.discard(due)

    def postpone(self, due: DueDeadline) -> None:
        """Record that every try of the deadline's turn has failed.

        ``newly_due`` returns the deadline again after ``RETRY_SECONDS``.
        """
        self._retry_at[due] = self._monotonic() + RETRY_SECONDS


def _due(key: str, deadline: Deadline) -> DueDeadline:
    flow, _, conversation = key.removeprefix(FLOW_PREFIX).partition(":")
    return DueDeadline(flow, ConversationKey(conversation), deadline)
