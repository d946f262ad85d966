"""A conversation with the bot's own flows: rehearsed, or step by step."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from durable.flows.chats.flow import Chats
from durable.flows.chats.records import localpart
from durable.flows.language import Language
from durable.flows.room.flow import RoomRouting
from durable.flows.user_routing import UserRouting
from durable.inspector import StoreInspector
from durable.records import ChatRecord, RoomRecord, UserRecord, chat_key, room_key, user_key
from durable.store import Commit, PlatformChatSequence
from durable.turn_records import TurnRecords, read_ahead
from ephemeral.flows.confirmation import Confirmation
from ephemeral.flows.held_messages import Held
from ephemeral.flows.load_selection import LoadSelection
from ephemeral.flows.staged_files import StageLimits, Staging
from fsm import (
    STAY,
    AgentEntry,
    Command,
    Event,
    EventKind,
    Flow,
    Inbound,
    Reaction,
    Registry,
    RoomEvent,
    Snapshot,
    State,
    Text,
    Turn,
    on,
)
from fsm.effects import Edit, NameRoom, NewRoom, Reply, effect_id
from fsm.events import Stimulus
from fsm.kept_record import KeptAsRecord
from fsm.values.ids import AgentId, ChatId, EventId, RoomId, TransactionId, UserId
from fsm.values.inbound import make_inbound
from fsm.values.messages import QuestionRef, Triggered
from strandline.engine.outbox import OutboxBuilder
from strandline.flows.languages import LANGUAGES, translator_for
from strandline.testing import Rehearsal
from tests.support.records import StoredRecords

ROOM, ALICE, BOB = RoomId("!room"), UserId("@alice:x"), UserId("@bob:x")
MALLORY = UserId("@mallory:x")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LIFE = "this-life"


def registry(*ids: str) -> Registry:
    return Registry(AgentEntry(id=AgentId(i), name=i.title(), kind="echo") for i in ids)


SPACE = RoomId("!space:x")
"""What the homeserver says with a join that follows an invite."""


class Courier(Flow):
    """Triggers a signal as if a flow had done so in answer to a text."""

    idle = State(initial=True)
    on_text = Event(idle, STAY, text=True)
    on_file = Event(idle, STAY, attachment=True)

    letter: Triggered | None = None

    @on_text.guard
    def has_letter(self, _turn: Turn) -> bool:
        return self.letter is not None

    @on_file.guard
    def has_letter_too(self, _turn: Turn) -> bool:
        return self.letter is not None

    @on(on_text, on_file)
    def deliver(self, turn: Turn) -> None:
        assert self.letter is not None
        turn.signals.append(self.letter)
        self.letter = None


class Talk(Rehearsal):
    """Steps one flow after another by hand, over the records of a real store."""

    _server = "x"

    def __init__(
        self,
        agents: Registry,
        *,
        records: dict[str, object] | None = None,
        respond_to: str = "owner",
        is_allowed: Callable[[UserId], bool] = lambda user: user != BOB,
        with_space: bool = True,
    ) -> None:
        self.user = UserRouting(agents)
        self.room = RoomRouting(
            agents, is_allowed=is_allowed, respond_to=respond_to, onboarding=with_space
        )
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
        self.chats = Chats(agents, with_space=with_space)
        self.language = Language(LANGUAGES, translator=translator_for)
        self.courier = Courier()
        super().__init__(
            *(self.courier, self.confirmation, self.selection, self.staging, self.held),
            *(self.language, self.user, self.chats, self.room),
        )
        self.now = NOW
        self.records = StoredRecords(self.store.path, records or {})
        self._numbers = 0

    @asynccontextmanager
    async def turn_records(self, inbound: Inbound) -> AsyncIterator[TurnRecords]:
        """The records of one turn, committed at its end."""
        store = (await self._alive()).store
        async with TurnRecords(store, PlatformChatSequence(store)) as records:
            await read_ahead(records, inbound)
            yield records
            await store.commit(Commit(expected=records.expected, writes=records.writes))

    def inbound(
        self, sender: UserId = ALICE, stimulus: Stimulus | None = None, **inbound: Any
    ) -> Inbound:
        self._numbers += 1
        kind = stimulus.kind if isinstance(stimulus, RoomEvent) else EventKind.TEXT
        given: dict[str, Any] = {
            "event_id": EventId(f"${self._numbers}"),
            "room_id": ROOM,
            "sender": sender,
            "kind": kind,
        } | inbound
        return make_inbound(**given)

    def turn(self, stimulus: Stimulus, inbound: Inbound, records: TurnRecords) -> Turn:
        return Turn(
            room_link=OutboxBuilder(server=self._server).room_link,
            inbound=inbound,
            now=NOW,
            stimulus=stimulus,
            bot_records=records,
            life=LIFE,
        )

    async def answers(
        self, flow: Flow, stimulus: Stimulus, *, at: Snapshot | None = None, **inbound: Any
    ) -> bool:
        """Whether the flow takes it there, or leaves it to the next."""
        before, arrived = at or flow.at_rest, self.inbound(stimulus=stimulus, **inbound)
        async with self.turn_records(arrived) as records:
            turn = self.turn(stimulus, arrived, records).answering(stimulus, before.data)
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
        before, arrived = (
            at or self.standing(flow, sender),
            self.inbound(sender, stimulus, **inbound),
        )
        async with self.turn_records(arrived) as records:
            turn = self.turn(stimulus, arrived, records).answering(stimulus, before.data)
            move = flow.choose(before, stimulus, turn)
            assert move is not None, f"{flow.name} does not answer {stimulus} in {before.state}"
            after = await flow.step(before, move, turn)
            if isinstance(flow, KeptAsRecord) and after.data is not None:
                records.save(f"{flow.kept_as}:{flow.key(ROOM, sender)}", after.data)
        return after, turn

    def standing(self, flow: Flow, sender: UserId = ALICE) -> Snapshot:
        if not isinstance(flow, KeptAsRecord):
            return flow.at_rest
        return StoreInspector(self.store.path).stored_snapshot(flow, flow.key(ROOM, sender))

    def room_record(self) -> RoomRecord:
        record = self.room_at(ROOM)
        assert record is not None
        return record

    def room_at(self, room_id: RoomId) -> RoomRecord | None:
        record = self.records.records.get(room_key(room_id))
        assert record is None or isinstance(record, RoomRecord)
        return record

    def user_record(self, user: UserId = ALICE) -> UserRecord:
        record = self.records.records.get(user_key(user))
        assert isinstance(record, UserRecord)
        return record


class Town(Talk):
    """Takes whole turns, as the engine does, in any room; rooms are made by hand."""

    def __init__(
        self,
        agents: Registry,
        *,
        records: dict[str, object] | None = None,
        respond_to: str = "owner",
        with_space: bool = True,
    ) -> None:
        super().__init__(
            agents,
            records=records,
            respond_to=respond_to,
            is_allowed=lambda user: user != MALLORY,
            with_space=with_space,
        )

    async def take(
        self,
        stimulus: Stimulus,
        *,
        room_id: RoomId = ROOM,
        sender: UserId = ALICE,
        **inbound: Any,
    ) -> Turn:
        """One turn, with all that its handlers trigger; the first flow that answers has it."""
        if isinstance(stimulus, Triggered):
            self.courier.letter = stimulus
        if isinstance(stimulus, Reaction):
            inbound |= {"body": stimulus.key, "question": stimulus.question_ref}
        return await self.takes(self.inbound(sender, stimulus, room_id=room_id, **inbound))

    async def text(self, body: str, **inbound: Any) -> Turn:
        return await self.take(Text(body), body=body, **inbound)

    async def command(self, line: str, **inbound: Any) -> Turn:
        name, _, argument = line.partition(" ")
        return await self.take(Command(name, argument), body=f"!{line}", **inbound)

    async def happens(self, kind: EventKind, **inbound: Any) -> Turn:
        return await self.take(RoomEvent(kind), kind=kind, **inbound)

    async def made(self, wish: NewRoom, room_id: str | None = None) -> Turn:
        """The homeserver has made the room."""
        return await self.take(
            RoomEvent(EventKind.ROOM_CREATED),
            room_id=RoomId(room_id or _room_id(wish)),
            sender=wish.user_id,
            event_id=EventId(f"strandline.{wish.purpose}"),
            purpose=wish.purpose,
            name=wish.name,
            asked_in=wish.asked_in,
        )

    async def refused(self, wish: NewRoom, problem: str = "not today") -> Turn:
        return await self.take(
            RoomEvent(EventKind.ROOM_FAILED),
            room_id=wish.asked_in,
            sender=wish.user_id,
            event_id=EventId(f"strandline.{wish.purpose}"),
            purpose=wish.purpose,
            name=wish.name,
            problem=problem,
        )

    async def set_all(self, turn: Turn, problem: str = "") -> Turn:
        """The homeserver has set the name that the turn asks to hear of, or refuses to."""
        [naming] = [e for e in turn.effects if isinstance(e, NameRoom) and e.asked_in]
        return await self.happens(
            EventKind.REFUSED if problem else EventKind.DONE,
            room_id=naming.asked_in,
            sender=turn.sender,
            about=turn.inbound.event_id,
            event_id=EventId("strandline.state"),
            event_type="m.room.name",
            target=naming.room_id,
            content={"name": naming.name},
            room_name=naming.name,
            **({"problem": problem} if problem else {}),
        )

    async def made_all(self, turn: Turn) -> list[Turn]:
        """The homeserver makes all rooms that the turn asks for, and those that follow."""
        turns, wishes = [], rooms_asked(turn)
        while wishes:
            turns.append(await self.made(wishes.pop(0)))
            wishes += rooms_asked(turns[-1])
        return turns

    async def made_all_as(self, turn: Turn, room_id: RoomId) -> list[Turn]:
        """The same where the homeserver makes one room, under another id than before."""
        [wish] = rooms_asked(turn)
        return [await self.made(wish, room_id)]

    async def onboarded(self, user: UserId = ALICE, room_id: RoomId = ROOM) -> list[Turn]:
        """The user has invited the bot; what it was made to make is there."""
        await self.happens(EventKind.INVITED, room_id=room_id, sender=user)
        greeting = await self.happens(EventKind.JOINED, room_id=room_id, sender=user)
        return [greeting, *await self.made_all(greeting)]

    def plan(self, user: UserId = ALICE) -> Snapshot:
        return Snapshot(self.state(Chats, by=user, room=ROOM), self.data(Chats, by=user, room=ROOM))

    def language_of(self, user: UserId) -> object:
        return self.data(Language, by=user, room=ROOM)

    def chat(self, chat_id: str, user: UserId = ALICE) -> ChatRecord:
        chat = self.records.records.get(chat_key(user, ChatId(chat_id)))
        assert isinstance(chat, ChatRecord)
        return chat


def _room_id(wish: NewRoom) -> str:
    whose = "" if wish.user_id == ALICE else f"-{localpart(wish.user_id)}"
    return f"!{wish.purpose.replace(':', '-')}{whose}:x"


def rooms_asked(turn: Turn) -> list[NewRoom]:
    return [e for e in turn.effects if isinstance(e, NewRoom)]


def said(turn: Turn) -> str:
    return "\n".join(e.text for e in turn.effects if isinstance(e, Reply))


def signals(turn: Turn) -> list[type]:
    """The classes of the signals that the turn triggers."""
    return [type(triggered.signal) for triggered in turn.signals]


def edits(turn: Turn) -> list[Edit]:
    return [e for e in turn.effects if isinstance(e, Edit)]


def question_of(turn: Turn) -> tuple[QuestionRef, TransactionId]:
    """The mark of the question that the turn asks, and under which id it is sent."""
    [(index, mark)] = [
        (i, e.question_ref)
        for i, e in enumerate(turn.effects)
        if isinstance(e, Reply) and e.question_ref
    ]
    return mark, effect_id(turn.inbound.event_id, turn.attempt, index)


__all__ = [
    "ALICE",
    "BOB",
    "LIFE",
    "MALLORY",
    "NOW",
    "ROOM",
    "SPACE",
    "Talk",
    "Town",
    "edits",
    "question_of",
    "registry",
    "rooms_asked",
    "said",
    "signals",
]
