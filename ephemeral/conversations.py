"""The ephemeral states of conversations.

Lost at a restart: all of it. That is what ephemeral means; each conversation is then in its last
durable state, or idle. Only conversations in an ephemeral state use memory here, and each is
removed when its state expires. Time is monotonic seconds, so that setting the wall clock back does
not extend a state.
"""

from attrs import evolve, frozen

from fsm import Flow, Inbound, Snapshot, Tier
from fsm.dispatch import TransitionTaken
from fsm.values.ids import ConversationKey, EventId


@frozen
class ExpiredState:
    """A conversation whose ephemeral state has expired.

    Args:
        flow: The flow's name.
        snapshot: The expired state.
        inbound: The event that led to that state.
        beneath: The stored snapshot below it: the last durable state, or idle.
    """

    flow: str
    snapshot: Snapshot
    inbound: Inbound
    beneath: Snapshot

    @property
    def event_id(self) -> EventId:
        """The id of the turn that handles the expiry."""
        return EventId(f"expired:{self.flow}:{self.inbound.event_id}")


@frozen
class _Standing:
    lapsed: ExpiredState
    until: float


class Conversations:
    """All conversations in an ephemeral state."""

    def __init__(self) -> None:
        self._standing: dict[tuple[str, ConversationKey], _Standing] = {}
        self._overdue: list[ExpiredState] = []

    def __len__(self) -> int:
        return len(self._standing)

    def find(self, flow: Flow, key: ConversationKey, now: float) -> Snapshot | None:
        """The conversation's snapshot, if it is in an ephemeral state that has not expired."""
        standing = self._standing.get((flow.name, key))
        return standing.lapsed.snapshot if standing and now < standing.until else None

    def put(self, flow: Flow, moved: TransitionTaken, inbound: Inbound, now: float) -> None:
        """Store the conversation's new state if it is ephemeral; remove it otherwise.

        If the state was not entered again, its expiry does not change.
        """
        before = self._standing.pop((flow.name, moved.key), None)
        if before is not None and before.until <= now:
            self._overdue.append(before.lapsed)
            before = None
        state = flow.states[moved.after.state]
        lifetime = flow.lifetime(state)
        if state.tier is not Tier.EPHEMERAL or lifetime is None:
            return
        if before is not None and not moved.entered:
            lapsed, until = evolve(before.lapsed, snapshot=moved.after), before.until
        else:
            beneath = before.lapsed.beneath if before is not None else moved.before
            lapsed = ExpiredState(flow.name, moved.after, inbound, beneath)
            until = now + lifetime.total_seconds()
        self._standing[flow.name, moved.key] = _Standing(lapsed, until)

    def sweep(self, now: float) -> list[ExpiredState]:
        """Remove the expired conversations, and return them."""
        overdue, self._overdue = self._overdue, []
        expired = [key for key, standing in self._standing.items() if standing.until <= now]
        return overdue + [self._standing.pop(key).lapsed for key in expired]
