"""A conversation with flows that are alone in the world: no store, no homeserver."""

from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import evolve

from durable.records import RoomRecord, UserRecord, room_key, user_key
from durable.room_routing import RoomRouting
from durable.user_routing import UserRouting
from ephemeral.confirmation import Confirmation
from ephemeral.held import Held
from ephemeral.load_selection import LoadSelection
from ephemeral.staging import StageLimits, Staging
from fsm import AgentEntry, Flow, Inbound, Kind, RecordsInMemory, Registry, Signal, Snapshot, Turn
from fsm.effects import Edit, Reply, effect_id
from fsm.events import Stimulus
from fsm.ids import AgentId, EventId, RoomId, TransactionId, UserId
from fsm.questions import Mark

ROOM, ALICE, BOB = RoomId("!room"), UserId("@alice:x"), UserId("@bob:x")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LIFE = "this-life"


def registry(*ids: str) -> Registry:
    return Registry(AgentEntry(id=AgentId(i), name=i.title(), kind="echo") for i in ids)


class Talk:
    """Steps one flow after another by hand, over records in memory."""

    def __init__(self, agents: Registry, *, records: dict[str, object] | None = None) -> None:
        self.records = RecordsInMemory(records=records or {})
        self.user = UserRouting(agents)
        self.room = RoomRouting(agents, is_allowed=lambda user: user != BOB)
        self.confirmation = Confirmation(lifetime=timedelta(minutes=5), started_at=NOW)
        self.held = Held(lifetime=timedelta(minutes=10))
        self.selection = LoadSelection(lifetime=timedelta(minutes=5), started_at=NOW)
        self.staging = Staging(
            StageLimits(
                most_files=3,
                most_bytes_each=2_000_000,
                most_bytes_in_all=3_000_000,
                lifetime=timedelta(minutes=30),
            ),
            started_at=NOW,
            is_addressed=lambda turn: turn.sender != BOB,
        )
        self._numbers = 0

    def turn(self, stimulus: Stimulus, sender: UserId = ALICE, **inbound: Any) -> Turn:
        self._numbers += 1
        arrived = Inbound(
            event_id=EventId(f"${self._numbers}"), room_id=ROOM, sender=sender, kind=Kind.TEXT
        )
        return Turn(
            inbound=evolve(arrived, **inbound),
            now=NOW,
            stimulus=stimulus,
            records=self.records,
            life=LIFE,
        )

    def answers(
        self, flow: Flow, stimulus: Stimulus, *, at: Snapshot | None = None, **inbound: Any
    ) -> bool:
        """Whether the flow takes it there, or leaves it to the next."""
        before = at or flow.at_rest
        turn = self.turn(stimulus, **inbound).answering(stimulus, before.data)
        return flow.choose(before, stimulus, turn) is not None

    async def step(
        self,
        flow: Flow,
        stimulus: Stimulus,
        *,
        at: Snapshot | None = None,
        sender: UserId = ALICE,
        **inbound: Any,
    ) -> tuple[Snapshot, Turn]:
        before = at or self.standing(flow, sender)
        turn = self.turn(stimulus, sender, **inbound).answering(stimulus, before.data)
        move = flow.choose(before, stimulus, turn)
        assert move is not None, f"{flow.name} does not answer {stimulus} in {before.state}"
        after = await flow.step(before, move, turn)
        if flow.kept_as is not None and after.data is not None:
            self.records.save(f"{flow.kept_as}:{flow.key(ROOM, sender)}", after.data)
        return after, turn

    def standing(self, flow: Flow, sender: UserId = ALICE) -> Snapshot:
        if flow.kept_as is None:
            return flow.at_rest
        record: Any = self.records.records.get(f"{flow.kept_as}:{flow.key(ROOM, sender)}")
        return flow.at_rest if record is None else Snapshot(flow.state_of(record).name, record)

    def room_record(self) -> RoomRecord:
        record = self.records.find(RoomRecord, room_key(ROOM))
        assert record is not None
        return record

    def user_record(self, user: UserId = ALICE) -> UserRecord:
        record = self.records.find(UserRecord, user_key(user))
        assert record is not None
        return record


def said(turn: Turn) -> str:
    return "\n".join(e.text for e in turn.effects if isinstance(e, Reply))


def signals(turn: Turn) -> list[tuple[str, str]]:
    return [(s.flow, s.event) for s in turn.signals]


def edits(turn: Turn) -> list[Edit]:
    return [e for e in turn.effects if isinstance(e, Edit)]


def question_of(turn: Turn) -> tuple[Mark, TransactionId]:
    """The mark of the question that the turn asks, and under which id it is sent."""
    [(index, mark)] = [
        (i, e.mark) for i, e in enumerate(turn.effects) if isinstance(e, Reply) and e.mark
    ]
    return mark, effect_id(turn.inbound.event_id, turn.attempt, index)


__all__ = [
    "ALICE",
    "BOB",
    "LIFE",
    "NOW",
    "ROOM",
    "Signal",
    "Talk",
    "edits",
    "question_of",
    "registry",
    "said",
    "signals",
]
