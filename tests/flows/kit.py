"""A conversation with flows that are alone in the world: no store, no homeserver."""

from datetime import UTC, datetime, timedelta
from typing import Any

from durable.records import RoomRecord, UserRecord, room_key, user_key
from durable.room_routing import RoomRouting
from durable.user_routing import UserRouting
from ephemeral.confirmation import Confirmation
from ephemeral.held import Held
from fsm import AgentEntry, Flow, Inbound, Kind, RecordsInMemory, Registry, Signal, Snapshot, Turn
from fsm.effects import Reply
from fsm.events import Stimulus
from fsm.ids import AgentId, EventId, RoomId, UserId

ROOM, ALICE, BOB = RoomId("!room"), UserId("@alice:x"), UserId("@bob:x")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


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
        self._numbers = 0

    def turn(self, stimulus: Stimulus, sender: UserId = ALICE) -> Turn:
        self._numbers += 1
        inbound = Inbound(
            event_id=EventId(f"${self._numbers}"), room_id=ROOM, sender=sender, kind=Kind.TEXT
        )
        return Turn(inbound=inbound, now=NOW, stimulus=stimulus, records=self.records)

    async def step(
        self, flow: Flow, stimulus: Stimulus, *, at: Snapshot | None = None, sender: UserId = ALICE
    ) -> tuple[Snapshot, Turn]:
        turn = self.turn(stimulus, sender)
        before = at or self.standing(flow, sender)
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


__all__ = ["ALICE", "BOB", "NOW", "ROOM", "Signal", "Talk", "registry", "said", "signals"]
