"""Deadlines of durable states: each acted upon once, even if it passed while the bot was down."""

from attrs import frozen

from durable import Store
from durable.records import FLOW_PREFIX, Deadline
from fsm.ids import ConversationKey, EventId


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


class Deadlines:
    """Finds what is due, and hands out each deadline once until it is settled."""

    def __init__(self, store: Store, flows: frozenset[str]) -> None:
        self._store = store
        self._flows = flows
        self._out: set[Due] = set()

    async def passed(self) -> list[Due]:
        """What has become due and is not in anybody's hands."""
        found = [
            _due(key, deadline) for key, deadline in (await self._store.due(self._flows)).items()
        ]
        new = [due for due in found if due not in self._out]
        self._out.update(new)
        return new

    def settle(self, due: Due) -> None:
        """It was dealt with: should it still be due, it is handed out again."""
        self._out.discard(due)


def _due(key: str, deadline: Deadline) -> Due:
    flow, _, conversation = key.removeprefix(FLOW_PREFIX).partition(":")
    return Due(flow, ConversationKey(conversation), deadline)
