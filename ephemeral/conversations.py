"""Where ephemeral conversations stand.

Lost at a restart: all of it. That is what ephemeral means; each conversation is then at its last
durable state, or at idle. Only conversations in an ephemeral state occupy memory here, and each
leaves by itself when its state expires. Time is monotonic seconds, so that a wall clock that is
set back keeps no question open.
"""

from attrs import evolve, frozen

from fsm import Flow, Inbound, Snapshot, Tier
from fsm.dispatch import TransitionTaken
from fsm.values.ids import ConversationKey, EventId


@frozen
class ExpiredState:
    """A conversation whose time is up.

    Args:
        flow: The flow's name.
        snapshot: Where it stood.
        inbound: What brought it there.
        beneath: Where it stood before that, in a durable state or at idle: there the store has it.
    """

    flow: str
    snapshot: Snapshot
    inbound: Inbound
    beneath: Snapshot

    @property
    def event_id(self) -> EventId:
        """The id of the turn in which it ends."""
        return EventId(f"expired:{self.flow}:{self.inbound.event_id}")


@frozen
class _Standing:
    lapsed: ExpiredState
    until: float


class Conversations:
    """All conversations that stand in an ephemeral state."""

    def __init__(self) -> None:
        self._standing: dict[tuple[str, ConversationKey], _Standing] = {}
        self._overdue: list[ExpiredState] = []

    def __len__(self) -> int:
        return len(self._standing)

    def find(self, flow: Flow, key: ConversationKey, now: float) -> Snapshot | None:
        """The conversation, if it stands in an ephemeral state that has not expired."""
        standing = self._standing.get((flow.name, key))
        return standing.lapsed.snapshot if standing and now < standing.until else None

    def put(self, flow: Flow, moved: TransitionTaken, inbound: Inbound, now: float) -> None:
        """Remember where the conversation stands, if that is for this folder to remember.

        One that has not left its state gets no new time.
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
        """Let go of what has expired, and return it."""
        overdue, self._overdue = self._overdue, []
        expired = [key for key, standing in self._standing.items() if standing.until <= now]
        return overdue + [self._standing.pop(key).lapsed for key in expired]
