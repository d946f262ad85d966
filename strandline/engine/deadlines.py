"""Deadlines of durable states: each acted upon once, even if it passed while the bot was down."""

import time
from collections.abc import Callable

from attrs import frozen

from durable import Store
from durable.records import Deadline, flow_key
from fsm.records import FLOW_PREFIX
from fsm.values.ids import ConversationKey, EventId


@frozen
class Due:
    """A conversation whose time in a durable state is up.

    Args:
        flow: The flow's name.
        key: The conversation.
        deadline: When it was up.
    """

    flow: str
    key: ConversationKey
    deadline: Deadline

    @property
    def event_id(self) -> EventId:
        """The id of the turn in which it is acted upon."""
        return EventId(f"expired:{self.flow}:{self.key}:{self.deadline.at_ms}")


AGAIN_SECONDS = 600.0
"""After so long a deadline whose turn failed every time is tried again."""


class Deadlines:
    """Finds what is due, and hands out each deadline once until it is settled.

    Args:
        store: Where deadlines are kept.
        flows: The names of the flows that the bot has.
        monotonic: Seconds that never run backwards.
    """

    def __init__(
        self,
        store: Store,
        flows: frozenset[str],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._flows = flows
        self._monotonic = monotonic
        self._out: set[Due] = set()
        self._failed: dict[Due, float] = {}

    async def passed(self) -> list[Due]:
        """What has become due and is not in anybody's hands."""
        now = self._monotonic()
        for due in [due for due, at in self._failed.items() if at <= now]:
            del self._failed[due]
            self.settle(due)
        besides = [flow_key(due.flow, due.key) for due in self._out]
        passed = await self._store.due(self._flows, besides=besides)
        found = [_due(key, deadline) for key, deadline in passed.items()]
        new = [due for due in found if due not in self._out]
        self._out.update(new)
        return new

    def settle(self, due: Due) -> None:
        """It was dealt with: should it still be due, it is handed out again."""
        self._out.discard(due)

    def put_off(self, due: Due) -> None:
        """Its turn failed every time: it is handed out again after a while."""
        self._failed[due] = self._monotonic() + AGAIN_SECONDS


def _due(key: str, deadline: Deadline) -> Due:
    flow, _, conversation = key.removeprefix(FLOW_PREFIX).partition(":")
    return Due(flow, ConversationKey(conversation), deadline)
