"""A rehearsal: flows on their own, in memory, for unit tests that take no time.

There is no homeserver, no store and no agent. What a flow keeps goes through the store's own
serializer all the same, so that a record which could not be saved fails here.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from attrs import frozen

from durable.records import Deadline, FlowRecord
from durable.store.codec import from_json, to_json
from durable.turn_records import flow_record, read_ahead, snapshot_of
from ephemeral.conversations import Conversations, Lapsed
from ephemeral.flows.confirmation import Confirmation
from fsm import (
    Attachment,
    EventKind,
    Flow,
    Inbound,
    QuestionRef,
    RecordsInMemory,
    Snapshot,
    Tier,
    Turn,
)
from fsm.dispatch import ConversationRef, Dispatcher, TransitionTaken, stimuli_of
from fsm.effects import Edit, Reply
from fsm.events import RoomEvent
from fsm.values.ids import ConversationKey, EventId, RoomId, UserId
from strandline.authoring.naming import refuse_misnamed
from strandline.flows.order import FLOWS
from strandline.testing.errors import KitError

ALICE = UserId("@alice:example.org")
BOB = UserId("@bob:example.org")
CAROL = UserId("@carol:example.org")
ROOM = RoomId("!room:example.org")


@frozen
class _Question:
    mark: QuestionRef
    event_id: EventId
    room_id: RoomId


class Rehearsal:
    """People, flows, and time that passes when it is told to.

    Each verb makes one turn and returns it: ``turn.effects`` is what the handlers have asked for,
    as values that can be compared.

    Args:
        flows: In the order in which they are offered an event. ``turn.confirm`` works.
        prefix: What commands begin with.

    Attributes:
        now: The wall clock; ``passes`` sets it forward.
        turns: All turns so far.

    Raises:
        NoSuchEvent: The source of one of the flows names an event that neither one of them nor the
            bot itself has.
    """

    def __init__(self, *flows: Flow, prefix: str = "!") -> None:
        self.now = datetime(2026, 1, 1, 12, tzinfo=UTC)
        self.turns: list[Turn] = []
        self._prefix = prefix
        self._confirmation = Confirmation(lifetime=timedelta(minutes=5), started_at=self.now)
        self._flows = {flow.name: flow for flow in (*flows, self._confirmation)}
        rehearsed = [type(flow) for flow in flows]
        refuse_misnamed(rehearsed, [*FLOWS, *rehearsed])
        self._records = RecordsInMemory()
        self._kept: dict[ConversationRef, str] = {}
        self._conversations = Conversations()
        self._questions: list[_Question] = []
        self._lives = 1

    async def says(
        self, text: str, *, by: UserId = ALICE, room: RoomId = ROOM, **inbound: Any
    ) -> Turn:
        """Somebody writes a message or a command; ``inbound`` are further fields of ``Inbound``."""
        return await self._happens(EventKind.TEXT, by, room, body=text, **inbound)

    async def sends_file(
        self, name: str, *, text: str = "", by: UserId = ALICE, room: RoomId = ROOM
    ) -> Turn:
        """Somebody sends a file, with a caption if there is a text."""
        file = Attachment(
            event_id=self._next_id(),
            name=name,
            kind="file",
            mimetype="application/octet-stream",
            size_bytes=1,
            url=f"mxc://example.org/{name}",
        )
        kind = EventKind.TEXT if text else EventKind.FILE
        return await self._happens(
            kind, by, room, event_id=file.event_id, body=text, attachments=(file,)
        )

    async def reacts(
        self, key: str, *, by: UserId = ALICE, room: RoomId = ROOM, to: Turn | None = None
    ) -> Turn:
        """Somebody puts an emoji on the newest question of the room, or on that of a turn."""
        question = self._newest(room, to)
        return await self._happens(
            EventKind.REACTION,
            by,
            room,
            body=key,
            about=question.event_id,
            question=_to(by, question.mark),
        )

    async def replies(
        self, text: str, *, by: UserId = ALICE, room: RoomId = ROOM, to: Turn | None = None
    ) -> Turn:
        """Somebody replies to the newest question of the room, or to that of a turn."""
        question = self._newest(room, to)
        mark = _to(by, question.mark)
        return await self._happens(
            EventKind.TEXT, by, room, body=text, about=question.event_id, question=mark
        )

    async def takes_back(self, turn: Turn, *, by: UserId | None = None) -> Turn:
        """Somebody redacts what this turn answered: a message, a file, a reaction."""
        taken = turn.inbound
        return await self._happens(
            EventKind.REDACTED, by or taken.sender, taken.room_id, about=taken.event_id
        )

    async def enters(self, by: UserId, *, room: RoomId = ROOM) -> Turn:
        """Somebody joins the room."""
        return await self._happens(EventKind.ENTERED, by, room)

    async def departs(self, by: UserId, *, room: RoomId = ROOM) -> Turn:
        """Somebody leaves the room."""
        return await self._happens(EventKind.DEPARTED, by, room)

    async def passes(self, time: timedelta) -> list[Turn]:
        """Time passes; the turns of what came to its end."""
        self.now += time
        turns = [
            await self._lapse(lapsed) for lapsed in self._conversations.sweep(self._monotonic())
        ]
        return turns + [await self._fall_due(*place) for place in self._due()]

    def restart(self, *flows: Flow) -> None:
        """The process dies and begins again: what is durable comes back.

        Args:
            flows: Later releases of flows that run, under the same names.
        """
        self._flows |= {flow.name: flow for flow in flows}
        self._conversations = Conversations()
        self._lives += 1

    def state(self, flow: type[Flow], *, by: UserId = ALICE, room: RoomId = ROOM) -> str:
        """The name of the state in which this user's conversation in this room stands."""
        return self._stands(flow, by, room).state

    def data(self, flow: type[Flow], *, by: UserId = ALICE, room: RoomId = ROOM) -> Any:
        """The record or the memory that the conversation carries, or None."""
        return self._stands(flow, by, room).data

    @property
    def said(self) -> str:
        """What the newest turn says, in one text: replies, questions and new texts of old ones."""
        effects = self.turns[-1].effects if self.turns else []
        return "\n".join(e.text for e in effects if isinstance(e, Reply | Edit))

    async def _happens(self, kind: EventKind, by: UserId, room: RoomId, **fields: Any) -> Turn:
        fields.setdefault("event_id", self._next_id())
        inbound = Inbound(room_id=room, sender=by, kind=kind, **fields)
        stimuli = stimuli_of(inbound, self._prefix)
        return await self._turn(inbound, lambda deciding: deciding.take(stimuli))

    async def _lapse(self, lapsed: Lapsed) -> Turn:
        flow = self._flows[lapsed.flow]
        inbound = self._expired(lapsed.inbound.room_id, lapsed.inbound.sender)
        return await self._turn(
            inbound, lambda deciding: deciding.expire(flow, lapsed.snapshot, still=True)
        )

    async def _fall_due(self, place: ConversationRef, deadline: Deadline) -> Turn:
        flow = self._flows[place[0]]
        snapshot = self._durable(flow, place[1])
        inbound = self._expired(deadline.room_id, deadline.sender)
        return await self._turn(
            inbound, lambda deciding: deciding.expire(flow, snapshot, still=True)
        )

    async def _turn(
        self, inbound: Inbound, decide: Callable[[Dispatcher], Awaitable[None]]
    ) -> Turn:
        records = self._records.copy()
        await read_ahead(records, inbound)
        turn = Turn(
            inbound=inbound,
            now=self.now,
            stimulus=RoomEvent(inbound.kind),
            records=records,
            prefix=self._prefix,
            server="example.org",
            life=f"life-{self._lives}",
        )
        kept = dict(self._kept)
        deciding = Dispatcher(
            flows=self._flows,
            turn=turn,
            standing=self._where,
            keep=partial(self._keep, turn),
        )
        try:
            await decide(deciding)
        except BaseException:
            self._kept = kept
            raise
        self._records = records
        for moved in deciding.moves:
            flow = self._flows[moved.flow]
            self._conversations.put(flow, moved, inbound, self._monotonic())
        self._questions += [
            _Question(effect.mark, EventId(f"$answer-{len(self.turns)}-{number}"), effect.room_id)
            for number, effect in enumerate(turn.effects)
            if isinstance(effect, Reply) and effect.mark is not None
        ]
        self.turns.append(turn)
        return turn

    async def _where(self, flow: Flow, key: ConversationKey) -> Snapshot:
        live = self._conversations.find(flow, key, self._monotonic())
        return live or self._durable(flow, key)

    def _stands(self, flow: type[Flow], by: UserId, room: RoomId) -> Snapshot:
        running = self._flows[flow.name]
        key = running.key(room, by)
        live = self._conversations.find(running, key, self._monotonic())
        return live or self._durable(running, key)

    def _durable(self, flow: Flow, key: ConversationKey) -> Snapshot:
        text = self._kept.get((flow.name, key))
        return flow.at_rest if text is None else snapshot_of(flow, from_json(FlowRecord, text))

    def _keep(self, turn: Turn, flow: Flow, moved: TransitionTaken) -> None:
        state, place = flow.states[moved.after.state], (flow.name, moved.key)
        if state.tier is Tier.EPHEMERAL:
            return
        if state.initial:
            self._kept.pop(place, None)
            return
        before = self._kept.get(place)
        kept = flow_record(
            flow,
            moved,
            turn,
            before=None if before is None else from_json(FlowRecord, before),
        )
        self._kept[place] = to_json(kept)

    def _due(self) -> list[tuple[ConversationRef, Deadline]]:
        now_ms = int(self.now.timestamp() * 1000)
        ends = [
            (place, deadline)
            for place, text in self._kept.items()
            if (deadline := from_json(FlowRecord, text).deadline) is not None
            if deadline.at_ms <= now_ms
        ]
        return sorted(ends, key=lambda end: end[1].at_ms)

    def _newest(self, room: RoomId, asked_in: Turn | None) -> _Question:
        for question in reversed(self._questions):
            is_meant = asked_in is None or question.mark.id == asked_in.inbound.event_id
            if question.room_id == room and is_meant:
                return question
        raise KitError("no flow has asked anything in this room: use turn.ask_back or turn.confirm")

    def _expired(self, room: RoomId, by: UserId) -> Inbound:
        return Inbound(event_id=self._next_id(), room_id=room, sender=by, kind=EventKind.EXPIRED)

    def _next_id(self) -> EventId:
        return EventId(f"${len(self.turns) + 1}")

    def _monotonic(self) -> float:
        return self.now.timestamp()


def _to(user: UserId, mark: QuestionRef) -> QuestionRef | None:
    """The mark, if the question is one that this user may answer."""
    return mark if mark.asker in (None, user) else None
