"""Stores the ephemeral states of conversations, in memory only.

Lost at a restart: all ephemeral states. That is what ephemeral means: after a restart, each
conversation is in its last durable state, or idle. Only conversations in an ephemeral state use
memory here, and each is removed when its state expires. Times are monotonic seconds, so that
setting the wall clock back does not extend a state.
"""

from attrs import evolve, frozen

from fsm import Flow, Inbound, Snapshot, Tier
from fsm.dispatch import TransitionTaken
from fsm.values.ids import ConversationKey, EventId


@frozen
class ExpiringState:
    """An ephemeral state of a conversation, which has expired when ``sweep`` returns it.

    Args:
        flow: The flow's name.
        snapshot: The conversation's snapshot in that state.
        inbound: The inbound event whose turn entered that state.
        beneath: The snapshot before the ephemeral state: the last durable state, or idle.
    """

    flow: str
    snapshot: Snapshot
    inbound: Inbound
    beneath: Snapshot

    @property
    def event_id(self) -> EventId:
        """The event id for the turn that handles the expiry."""
        return EventId(f"expired:{self.flow}:{self.inbound.event_id}")


@frozen
class _Standing:
    expiring: ExpiringState
    until: float


class Conversations:
    """Stores all conversations that are in an ephemeral state.

    In each method, ``now`` is the current monotonic time in seconds.
    """

    def __init__(self) -> None:
        self._standing: dict[tuple[str, ConversationKey], _Standing] = {}
        self._overdue: list[ExpiringState] = []

    def __len__(self) -> int:
        return len(self._standing)

    def find(self, flow: Flow, key: ConversationKey, now: float) -> Snapshot | None:
        """Return the conversation's snapshot.

        None if the conversation is in no ephemeral state, or if the state has expired.
        """
        standing = self._standing.get((flow.name, key))
        return standing.expiring.snapshot if standing and now < standing.until else None

    def put(self, flow: Flow, moved: TransitionTaken, inbound: Inbound, now: float) -> None:
        """Store the conversation's new state if it is ephemeral; else remove the conversation.

        If the step did not enter the state again, the time of its expiry does not change. If the
        earlier state has expired already, the next ``sweep`` still returns the earlier state.

        Args:
            flow: The flow.
            moved: The step that the conversation has taken.
            inbound: The inbound event of the turn.
            now: The current monotonic time in seconds.
        """
        before = self._standing.pop((flow.name, moved.key), None)
        if before is not None and before.until <= now:
            self._overdue.append(before.expiring)
            before = None
        state = flow.states[moved.after.state]
        lifetime = flow.lifetime(state)
        if state.tier is not Tier.EPHEMERAL or lifetime is None:
            return
        if before is not None and not moved.entered:
            expiring, until = evolve(before.expiring, snapshot=moved.after), before.until
        else:
            beneath = before.expiring.beneath if before is not None else moved.before
            expiring = ExpiringState(flow.name, moved.after, inbound, beneath)
            until = now + lifetime.total_seconds()
        self._standing[flow.name, moved.key] = _Standing(expiring, until)

    def sweep(self, now: float) -> list[ExpiringState]:
        """Remove the conversations whose state has expired, and return these states."""
        overdue, self._overdue = self._overdue, []
        expired = [key for key, standing in self._standing.items() if standing.until <= now]
        return overdue + [self._standing.pop(key).expiring for key in expired]
