"""A message whose handling always fails is set aside, and nothing else suffers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import cast

import pytest
from attrs import evolve

from durable.records import Deadline, RoomRecord, room_key
from durable.store import Commit, SqliteStore, Store, UnfinishedAnswer
from ephemeral.agents.pool import AgentPool
from fsm import EventKind, Flow, Inbound, QuestionRef, Registry, Translator
from fsm.outbox import OutboxRow
from fsm.values.ids import ConversationKey, EventId, RoomId, SyncToken, TransactionId, UserId
from fsm.values.inbound import UnsupportedMessage
from fsm.values.retry import TURN
from matrix import Delivery, HomeserverReader, Receipts, Refused, SyncBatch, SyncEvent, TimelineGap
from strandline.engine import turn_retry
from strandline.engine.answering.asking import AnswerSettings, Asking
from strandline.engine.answering.edits import EditTracker
from strandline.engine.answering.joining import QuestionJoiner
from strandline.engine.answering.publisher import AnswerPublisher
from strandline.engine.checkpoint import Checkpoint
from strandline.engine.deadlines import Deadlines, DueDeadline
from strandline.engine.event_filter import EventFilter, Policy
from strandline.engine.event_handler import EventHandler
from strandline.engine.expiries import Expiries
from strandline.engine.failures import FailureHandler, Translators
from strandline.engine.outbox import OutboxBuilder
from strandline.engine.questions import PendingQuestions
from strandline.engine.retrying_store import TIMING, RetryingStore
from strandline.engine.turn_runner import TurnRunner
from strandline.engine.work_items import NewEvent, ReopenedEvent
from strandline.engine.worker import EventWorker
from strandline.flows.languages import translator_for
from tests.support.outbox import content_of
from tests.unit.strandline.engine.answering.test_asking import AsAsked
from tests.unit.strandline.engine.test_turns import ALICE, BOB, STARTED, Lost, Stage

ROOM = RoomId("!a")


class Quay:
    """Takes what leaves, and gives back an event by its id."""

    def __init__(self) -> None:
        self.sent: list[OutboxRow] = []
        self.events: dict[EventId, Inbound] = {}
        self.invited: Inbound | None = None
        self.mark: QuestionRef | None = None
        self.problem: Exception = NotImplementedError()

    def submit(self, rows: tuple[OutboxRow, ...]) -> None:
        self.sent += rows

    async def send_now(
        self, room_id: RoomId, content: dict[str, object], transaction_id: TransactionId
    ) -> bool:
        raise NotImplementedError

    def fill(self, gap: TimelineGap) -> AsyncIterator[Inbound]:
        raise NotImplementedError

    async def event(self, room_id: RoomId, event_id: EventId) -> Inbound | None:
        del room_id
        return self.events.get(event_id)

    async def decrypt_later(self, inbound: Inbound) -> Inbound | None:
        return inbound

    async def is_group(self, room_id: RoomId) -> bool:
        raise NotImplementedError

    async def last_question(self, room_id: RoomId, sender: UserId) -> Inbound | None:
        del room_id, sender
        return None

    async def enter_replacement(self, *_rooms: RoomId, stays: bool) -> bool:
        del stays
        return False

    async def invite(self, _room: RoomId) -> Inbound | None:
        return self.invited

    async def predecessor(self, _room: RoomId) -> RoomId | None:
        return None

    async def question_mark(self, room_id: RoomId, event_id: EventId) -> QuestionRef | None:
        del room_id, event_id
        if self.mark is None:
            raise self.problem
        return self.mark

    async def wait_for_backlog(self, room_id: RoomId) -> None:
        """No row is pending."""

    def mark_read(self, room_id: RoomId, event_id: EventId) -> None:
        """Nobody looks at receipts."""

    @property
    def said(self) -> list[str]:
        return [content_of(row)["body"] for row in self.sent]


class RussianForBob(Translators):
    """Bob has chosen Russian."""

    async def of(self, user_id: UserId) -> Translator:
        return translator_for("ru" if user_id == BOB else "en")


class Room:
    """A room whose messages are handled by the real engine over a real store."""

    def __init__(self, store: Store, *, further: Sequence[Flow] = ()) -> None:
        self.store = store
        self.quay = Quay()
        self.is_addressed = True
        stage = Stage(store, "a1", is_addressed=lambda _: self.is_addressed, further=further)
        publisher = AnswerPublisher(
            store,
            self.quay,
            OutboxBuilder(),
            typing=lambda _: nullcontext(),
            new_transaction_id=lambda: TransactionId("t"),
        )
        kept = RetryingStore(store)
        delivery = cast("Delivery", self.quay)
        reader = cast("HomeserverReader", self.quay)
        self.checkpoint = Checkpoint(kept.save_checkpoint)
        runner, edits = TurnRunner(stage.turns, delivery), EditTracker()
        failures = FailureHandler(kept, delivery, OutboxBuilder(), RussianForBob(kept, "en"))
        asking = Asking(
            AgentPool(Registry([]), kinds={}),
            AsAsked(),
            edits,
            publisher,
            settings=AnswerSettings(edit_seconds=1),
        )
        questions = PendingQuestions(
            store=kept,
            reader=reader,
            asking=asking,
            edits=edits,
            translators=RussianForBob(kept, "en"),
            question_files={},
        )
        policy = Policy(is_allowed=lambda user: user in (ALICE, BOB))
        self.handling = EventWorker(
            events=EventHandler(
                event_filter=EventFilter(kept, reader, policy),
                runner=runner,
                questions=questions,
                joiner=QuestionJoiner(stage.turns, edits, queued=None),
                failures=failures,
                receipts=cast("Receipts", self.quay),
            ),
            expiries=Expiries(runner, Deadlines(kept, frozenset()), failures),
            checkpoint=self.checkpoint,
            delivery=delivery,
            reader=reader,
            store=kept,
        )

    async def hears(
        self,
        event_id: str,
        body: str,
        *,
        sender: UserId = ALICE,
        about: EventId | None = None,
    ) -> None:
        await self.takes(
            Inbound(
                event_id=EventId(event_id),
                room_id=ROOM,
                sender=sender,
                kind=EventKind.TEXT,
                body=body,
                about=about,
            )
        )

    async def hears_sticker(self, event_id: str) -> None:
        await self.takes(
            UnsupportedMessage(
                event_id=EventId(event_id), room_id=ROOM, sender=ALICE, content_type="sticker"
            )
        )

    async def takes(self, inbound: Inbound) -> None:
        self.quay.events[inbound.event_id] = inbound
        batch = self.checkpoint.begin(
            SyncBatch(None, SyncToken(f"s{inbound.event_id}"), (SyncEvent(inbound),))
        )
        await self.handling.handle(NewEvent(inbound, batch))

    async def takes_back(self, about: str, *, room_id: RoomId = ROOM) -> None:
        inbound = Inbound(
            event_id=EventId(f"$redacts in {room_id}"),
            room_id=room_id,
            sender=BOB,
            kind=EventKind.REDACTED,
            about=EventId(about),
        )
        batch = self.checkpoint.begin(SyncBatch(None, SyncToken("s"), (SyncEvent(inbound),)))
        await self.handling.handle(NewEvent(inbound, batch))

    async def invites(self, sender: UserId) -> None:
        invited = Inbound(
            event_id=EventId("invite:1"), room_id=ROOM, sender=sender, kind=EventKind.INVITED
        )
        await self.handling.handle(
            NewEvent(
                invited,
                self.checkpoint.begin(SyncBatch(None, SyncToken("s"), (SyncEvent(invited),))),
            )
        )


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn is tried again at once."""

    async def sleep(_seconds: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(turn_retry, "TIMING", evolve(TIMING, sleep=sleep))


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    store = await SqliteStore.open(tmp_path / "lambda_matrix.db", now=lambda: STARTED)
    yield Room(store)
    await store.close()


async def test_it_is_parked_its_sender_told_once_and_the_room_goes_on(room: Room) -> None:
    await room.hears("$poison", "!break")
    await room.hears("$next", "!help")
    await room.checkpoint.flush()

    [parked] = await room.store.parking.list_parked()
    assert (parked.event_id, parked.attempts) == ("$poison", TURN.max_attempts)
    assert "RuntimeError" in parked.error
    assert room.quay.said[0].startswith(
        "I couldn't process this message because of an error on my side"
    )
    assert "Commands:" in room.quay.said[1]
    assert len(room.quay.sent) == 2
    assert await room.store.checkpoint.token() == "s$next"
    assert await room.store.outbox.pending_rows() == tuple(room.quay.sent)


async def test_what_no_retry_can_mend_is_parked_after_one_try(room: Room) -> None:
    lost = Room(room.store, further=[Lost()])

    await lost.hears("$poison", "!trigger")

    [parked] = await lost.store.parking.list_parked()
    assert (parked.event_id, parked.attempts) == ("$poison", 1)
    assert parked.error.startswith("UnansweredSignal: lost: it triggers Pay, and ")
    [told] = lost.quay.said
    assert told.startswith("I couldn't process this message because of an error on my side")


async def test_an_event_that_can_not_be_read_is_parked_after_one_try(room: Room) -> None:
    await room.hears("$poison", "yes", about=EventId("$asks for what raises"))

    [parked] = await room.store.parking.list_parked()
    assert (parked.event_id, parked.attempts) == ("$poison", 1)
    assert parked.error.startswith("NotImplementedError")


async def test_its_sender_is_told_in_the_language_chosen(room: Room) -> None:
    await room.hears("$poison", "!break", sender=BOB)

    assert room.quay.said[0].startswith("Не удалось обработать это сообщение")


async def test_a_retried_message_is_handled_again_under_other_transaction_ids(room: Room) -> None:
    await room.hears("$poison", "!break")
    await room.store.parking.retry(EventId("$poison"))
    [again] = await room.store.reopened()

    await room.handling.handle(ReopenedEvent(again.room_id, again.event_id, again.ordinal))

    assert len(await room.store.parking.list_parked()) == 1
    assert await room.store.reopened() == ()
    ids = [row.transaction_id for row in room.quay.sent]
    assert len(set(ids)) == len(ids) == 2


async def test_a_dropped_message_stays_handled(room: Room) -> None:
    await room.hears("$poison", "!break")
    await room.store.parking.drop(EventId("$poison"))

    await room.hears("$poison", "!break")

    assert len(room.quay.sent) == 1
    assert await room.store.parking.list_parked() == ()


async def test_a_retried_message_is_completed_as_one_is_that_comes_with_the_sync(
    room: Room,
) -> None:
    await room.hears("$poison", "yes", about=EventId("$asks for what raises"))
    await room.store.parking.retry(EventId("$poison"))
    room.quay.mark = QuestionRef(flow="confirmation", id=EventId("$earlier"), life="", asker=ALICE)
    [again] = await room.store.reopened()

    await room.handling.handle(ReopenedEvent(again.room_id, again.event_id, again.ordinal))

    assert await room.store.reopened() == ()
    assert room.quay.said[-1].startswith("This question is closed")


async def test_a_retried_message_that_can_still_not_be_completed_is_parked_again(
    room: Room,
) -> None:
    await room.hears("$poison", "yes", about=EventId("$asks for what raises"))
    await room.store.parking.retry(EventId("$poison"))

    await room.handling.handle(ReopenedEvent(ROOM, EventId("$poison"), 1))

    assert [parked.event_id for parked in await room.store.parking.list_parked()] == ["$poison"]
    assert await room.store.reopened() == ()


async def test_who_is_not_let_in_any_more_is_not_heard_again(room: Room) -> None:
    await room.hears("$poison", "!break")
    await room.store.parking.retry(EventId("$poison"))
    sent = len(room.quay.sent)
    inbound = room.quay.events[EventId("$poison")]
    room.quay.events[EventId("$poison")] = evolve(inbound, sender=UserId("@mallory:x"))

    await room.handling.handle(ReopenedEvent(ROOM, EventId("$poison"), 1))

    assert len(room.quay.sent) == sent
    assert await room.store.reopened() == ()


async def test_a_kind_that_was_not_meant_for_the_bot_is_explained_when_it_is(room: Room) -> None:
    room.is_addressed = False
    await room.hears_sticker("$1")
    assert room.quay.sent == []

    room.is_addressed = True
    await room.hears_sticker("$2")
    await room.hears_sticker("$3")

    assert len(room.quay.sent) == 1


async def test_a_message_to_be_handled_again_that_is_gone_is_let_go(room: Room) -> None:
    await room.hears("$poison", "!break")
    await room.store.parking.retry(EventId("$poison"))
    room.quay.events.clear()
    [again] = await room.store.reopened()

    await room.handling.handle(ReopenedEvent(again.room_id, again.event_id, again.ordinal))

    assert await room.store.reopened() == ()


async def test_an_agent_that_is_not_there_is_named_and_the_message_is_handled(room: Room) -> None:
    await room.hears("$x", "hello")

    assert "Agent `a1` could not answer" in room.quay.said[0]
    assert await room.store.is_handled(EventId("$x"))


async def test_a_deadline_that_fails_every_time_is_told_once_and_tried_again_later(
    room: Room,
) -> None:
    deadline = Deadline(at_ms=1, room_id=ROOM, sender=ALICE)
    due = DueDeadline("no such flow", ConversationKey(ROOM), deadline)

    for _ in range(2):
        await room.handling.handle(due)

    assert "A scheduled step in this room failed on my side" in room.quay.said[0]
    assert len({row.transaction_id for row in room.quay.sent}) == 1


@pytest.mark.parametrize("problem", [NotImplementedError(), Refused(400, "M_UNKNOWN", "no")])
async def test_an_event_that_can_not_be_completed_is_parked_and_the_room_goes_on(
    room: Room, problem: Exception
) -> None:
    """The room's worker would end, and the bot with it."""
    room.quay.problem = problem
    await room.hears("$poison", "yes", about=EventId("$asks for what raises"))
    await room.hears("$next", "!help")

    [parked] = await room.store.parking.list_parked()
    assert (parked.event_id, parked.error.partition(":")[0]) == ("$poison", type(problem).__name__)
    assert await room.store.is_handled(EventId("$poison"))
    assert "Commands:" in room.quay.said[1]


async def test_an_invite_that_was_not_whose_it_was_said_to_be_gives_nobody_a_room(
    room: Room,
) -> None:
    """Mallory's homeserver says that it was Alice, whom the config lets in."""
    await room.invites(ALICE)
    room.quay.invited = Inbound(
        event_id=EventId("$i"), room_id=ROOM, sender=UserId("@mallory:x"), kind=EventKind.INVITED
    )

    await room.hears("$text", "hello")

    record = (await room.store.read(RoomRecord, room_key(ROOM))).value
    assert record is not None
    assert record.matrix_user_id == "@mallory:x"


async def test_a_room_is_the_true_inviters(room: Room) -> None:
    await room.invites(ALICE)
    room.quay.invited = Inbound(
        event_id=EventId("$i"), room_id=ROOM, sender=BOB, kind=EventKind.INVITED
    )

    await room.hears("$text", "!help", sender=BOB)

    record = (await room.store.read(RoomRecord, room_key(ROOM))).value
    assert record is not None
    assert record.matrix_user_id == BOB


async def test_a_redaction_ends_only_an_answer_of_its_own_room(room: Room) -> None:
    """Bob names a question of Alice's in a room of his own."""
    begun = UnfinishedAnswer(EventId("$asked"), ROOM, EventId("$head"))
    await room.store.commit(Commit(stream_begins=begun))

    await room.takes_back("$asked", room_id=RoomId("!of bob"))

    assert await room.store.stream(begun.event_id) == begun
    assert not await room.store.is_handled(begun.event_id)

    await room.takes_back("$asked")

    assert await room.store.stream(begun.event_id) is None
    assert await room.store.is_handled(begun.event_id)
