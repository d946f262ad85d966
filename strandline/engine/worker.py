"""Handling: what becomes of each thing that arrives, whatever goes wrong on the way."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

import structlog
from attrs import evolve, frozen

from durable import Commit, Handled, QuestionFiles, Store
from durable.records import RoomRecord, room_key
from durable.store.errors import AlreadyHandled, DatabaseMoved, StoreUnavailable
from ephemeral.conversations import Lapsed
from fsm import Attachment, Command, EventKind, Inbound, Translator
from fsm.dispatch import said_in
from fsm.effects import ATTEMPT_ORDINALS, AskAgent, Reply
from fsm.errors import NoSuchEvent, StrandlineError
from fsm.failpoints import reach
from fsm.outbox import CreateRoomRow, InviteRow, OutboxRow, ReportedRow, ReportTo, StateRow
from fsm.values.bounded import BoundedDict
from fsm.values.ids import EventId, RoomId, UserId
from fsm.values.retry import STORE, TURN, RetryTiming, retry
from fsm.values.text import compared
from matrix import Refused
from strandline.engine.answering.asking import Asking
from strandline.engine.answering.edits import EditTracker
from strandline.engine.answering.joining import QuestionJoiner
from strandline.engine.checkpoint import Batch, Checkpoint
from strandline.engine.deadlines import Deadlines, Due
from strandline.engine.outbox import OutboxBuilder
from strandline.engine.turns import Turns
from strandline.engine.work_items import (
    NewEvent,
    Policy,
    Retry,
    Shore,
    UnreadGap,
    WorkItem,
    room_of,
)

_log = structlog.get_logger(__name__)

T = TypeVar("T")

_PERMANENT = (NoSuchEvent,)
"""What fails in the same way however often it is tried: it is tried once."""

_OF_PEOPLE = {
    EventKind.TEXT,
    EventKind.FILE,
    EventKind.OTHER,
    EventKind.REACTION,
    EventKind.UNREADABLE,
    EventKind.ENTERED,
    EventKind.DEPARTED,
}
_SAID = {EventKind.TEXT, EventKind.FILE, EventKind.OTHER}
_OF_OTHERS = {EventKind.ENTERED, EventKind.DEPARTED}
_OF_ROOMS = {EventKind.JOINED, EventKind.LEFT, EventKind.UPGRADED}
_FIRST_IN_ROOM = {EventKind.TEXT, EventKind.FILE, EventKind.UNREADABLE, EventKind.JOINED}

MAX_EXPLAINED = 1_000
"""Maximum number of pairs of a room and an unsupported kind of message that was explained there."""

RETRY = "retry"
"""The command that asks an agent once more; what it was asked is read from the room."""

_TIMING = RetryTiming(sleep=asyncio.sleep, monotonic=time.monotonic, uniform=random.uniform)


@frozen
class _Failure:
    """What a turn raised last, and how many times it was tried."""

    error: Exception
    tries: int


class EventWorker:
    """Handles one item at a time for each room, and never raises for what is in the item."""

    def __init__(  # noqa: PLR0913  # the parts that meet here
        self,
        *,
        store: Store,
        turns: Turns,
        asking: Asking,
        amending: EditTracker,
        shore: Shore,
        checkpoint: Checkpoint,
        submit: Callable[[tuple[OutboxRow, ...]], None],
        eased: Callable[[RoomId], Awaitable[None]],
        seen: Callable[[RoomId, EventId], None],
        replies: OutboxBuilder,
        tongue_of: Callable[[UserId], Awaitable[Translator]],
        policy: Policy,
        deadlines: Deadlines,
        asked: Mapping[EventId, QuestionFiles],
        waiting: Callable[[RoomId], Sequence[WorkItem]] = lambda _: (),
    ) -> None:
        self._store = store
        self._turns = turns
        self._asking = asking
        self._amending = amending
        self._shore = shore
        self._checkpoint = checkpoint
        self._submit = submit
        self._eased = eased
        self._seen = seen
        self._replies = replies
        self._tongue_of = tongue_of
        self._policy = policy
        self._deadlines = deadlines
        self._asked = dict(asked)
        self._joiner = QuestionJoiner(
            turns, amending, prepare=self._wanted, queued=waiting if policy.joins else None
        )
        self.heard = self._joiner.notify
        self._explained = BoundedDict[tuple[RoomId, str], None](MAX_EXPLAINED)
        self._files: dict[EventId, tuple[Attachment, ...]] = {}

    async def handle(self, item: WorkItem) -> None:
        """Handle one item to its end, once what is owed to its room has gone down."""
        await self._eased(room_of(item))
        match item:
            case NewEvent(inbound=inbound, batch=batch):
                await self._event(inbound, batch)
                self._checkpoint.done(batch, inbound.room_id)
            case UnreadGap(gap=gap, batch=batch):
                async for inbound in self._shore.fill(gap):
                    await self._event(inbound, batch)
                self._checkpoint.done(batch, gap.room_id)
            case Retry():
                await self._again(item)
            case Lapsed():
                await self._lapse(item)
                _log.debug("turn done", event_id=item.event_id)
            case Due():
                await self._fall_due(item)
                _log.debug("turn done", event_id=item.event_id)

    async def made(self, row: ReportedRow, room_id: RoomId | None, problem: str) -> None:
        """A room that was asked for is there, or will never be: the asker's turn follows.

        So it is with anything else that was asked for and is done or refused.
        """
        inbound = _outcome(row, room_id, problem)

        async def take() -> None:
            outcome = await self._turns.take(inbound, settles=row.transaction_id)
            self._submit(outcome.rows)

        failure = await self._tries(inbound.event_id, take)
        if failure is not None:
            await retry_until_store_available(
                lambda: self._store.park_row(row, _spoken(failure.error))
            )

    async def _again(self, item: Retry) -> None:
        inbound = await self._shore.event(item.room_id, item.event_id)
        heard = inbound if inbound is not None and self._is_heard(inbound) else None
        if heard is not None and await self._read(heard, item.attempt, self._whole):
            return
        _log.warning("a message that was to be handled again is gone", event_id=item.event_id)
        await retry_until_store_available(lambda: self._store.commit(Commit(closes=item.event_id)))

    async def _lapse(self, item: Lapsed) -> None:
        async def take() -> None:
            outcome = await self._turns.expire(item)
            self._submit(outcome.rows)

        await self._tries(item.event_id, take)

    async def _fall_due(self, item: Due) -> None:
        async def take() -> None:
            outcome = await self._turns.fall_due(item)
            self._submit(outcome.rows)

        failure = await self._tries(item.event_id, take)
        if failure is None:
            self._deadlines.settle(item)
            return
        self._deadlines.put_off(item)
        tongue = await retry_until_store_available(lambda: self._tongue_of(item.deadline.sender))
        told = Reply(
            room_id=item.deadline.room_id,
            text=tongue.t(
                "Something whose time was up here went wrong on my side. I try again in a while."
            ),
        )
        event_id = EventId(f"failed:{item.flow}:{item.key}:{item.deadline.at_ms}")
        rows = tuple(self._replies.reply(told, event_id))
        self._submit(
            await retry_until_store_available(lambda: self._store.commit(Commit(outbox=rows)))
        )

    async def _event(self, inbound: Inbound, batch: Batch) -> None:
        reach("event.arrived")
        self._checkpoint.note(batch, inbound)
        if not await self._read(inbound, 0, self._wanted):
            _log.debug("passed over", event_id=inbound.event_id)

    async def _read(
        self,
        inbound: Inbound,
        attempt: int,
        read: Callable[[Inbound], Awaitable[Inbound | None]],
    ) -> bool:
        """Handle what ``read`` makes of the event, or park it; whether there was anything."""
        try:
            wanted = await read(inbound)
        except Exception as error:  # parked with its error, which `parked list` shows
            if isinstance(error, StrandlineError) and not isinstance(error, Refused):
                raise  # the store or the account can't go on: the bot ends, the event comes again
            _log.exception("an event can't be read", event_id=inbound.event_id)
            await self._park(inbound, attempt, _Failure(error, TURN.max_attempts))
            return True
        if wanted is not None:
            await self._attempts(wanted, attempt)
        return wanted is not None

    async def _wanted(self, inbound: Inbound) -> Inbound | None:
        """The event, readable and complete; None if no flow is to hear of it."""
        if inbound.kind in _OF_OTHERS and inbound.kind not in self._policy.kinds:
            return None
        if await retry_until_store_available(lambda: self._store.is_handled(inbound.event_id)):
            return None
        if not self._is_heard(inbound):
            return None
        if inbound.kind is EventKind.UPGRADED and not await self._is_replaced(inbound):
            return None
        if inbound.kind in _FIRST_IN_ROOM:
            await self._confirm(inbound)
        return await self._whole(inbound)

    def _is_heard(self, inbound: Inbound) -> bool:
        return inbound.kind not in _OF_PEOPLE or self._policy.is_allowed(inbound.sender)

    async def _whole(self, inbound: Inbound) -> Inbound | None:
        """The event, readable and complete; None if there is nothing to answer in it."""
        readable: Inbound | None = inbound
        if inbound.kind is EventKind.UNREADABLE:
            readable = await self._shore.decrypt_later(inbound)
        if readable is None:
            return None
        completed = await self._completed(readable)
        is_idle_reaction = completed.kind is EventKind.REACTION and completed.question is None
        is_known = (
            completed.kind is EventKind.OTHER and self._kind_in_room(completed) in self._explained
        )
        return None if is_idle_reaction or is_known else completed

    def _kind_in_room(self, inbound: Inbound) -> tuple[RoomId, str]:
        return inbound.room_id, inbound.body

    def _note_explained(self, inbound: Inbound) -> None:
        """It was said in this room that the bot does not read this kind: once is enough."""
        self._explained[self._kind_in_room(inbound)] = None

    async def _is_replaced(self, inbound: Inbound) -> bool:
        """Whether a room that the bot knows has the replacement that its tombstone names.

        A tombstone may name any room there is. The bot enters that room to ask it, and leaves it
        again if it says otherwise and nobody has invited the bot.
        """
        room_id, to = inbound.room_id, RoomId(inbound.body)
        known = await retry_until_store_available(
            lambda: self._store.read(RoomRecord, room_key(room_id))
        )
        there = await retry_until_store_available(
            lambda: self._store.read(RoomRecord, room_key(to))
        )
        if known.value is None:
            return False
        return await self._shore.enter_replacement(room_id, to, stays=there.value is not None)

    async def _confirm(self, inbound: Inbound) -> None:
        """Before anything else in a new room, hold what was claimed of it against the room itself.

        It is whose invite the room names. If that is somebody else than the stripped invite said,
        this one is void, and the true one is taken instead, or declined. And what a room has been
        that this one replaces, it is now: the bot may have been invited only after the tombstone.
        """
        room = await self._blank(inbound.room_id)
        if room is None:
            return
        invite = await self._shore.invite(inbound.room_id)
        if invite is not None and invite.sender != room.matrix_user_id:
            _log.warning("an invite was not whose it was said to be", room_id=inbound.room_id)
            void = EventId(f"void:{invite.event_id}")
            await self._once(evolve(invite, event_id=void, kind=EventKind.LEFT))
            await self._once(evolve(invite, event_id=EventId(f"true:{invite.event_id}")))
            room = await self._blank(inbound.room_id)
        replaced = None if room is None else await self._shore.replaces(inbound.room_id)
        if room is not None and replaced is not None:
            event_id = EventId(f"replaces:{inbound.room_id}")
            owner = room.matrix_user_id or inbound.sender
            joined = evolve(inbound, kind=EventKind.JOINED, sender=owner, body=replaced)
            await self._once(evolve(joined, event_id=event_id))

    async def _blank(self, room_id: RoomId) -> RoomRecord | None:
        """A room of which no more is known than who is said to have invited the bot."""
        room = (
            await retry_until_store_available(
                lambda: self._store.read(RoomRecord, room_key(room_id))
            )
        ).value
        if room is None or room.matrix_user_id is None:
            return None
        return room if room == RoomRecord(matrix_user_id=room.matrix_user_id) else None

    async def _once(self, inbound: Inbound) -> None:
        if not await retry_until_store_available(lambda: self._store.is_handled(inbound.event_id)):
            await self._attempts(inbound, 0)

    async def _completed(self, inbound: Inbound) -> Inbound:
        """The event with what only the homeserver knows of it."""
        if inbound.kind in _SAID and self._policy.tells_groups:
            inbound = evolve(inbound, is_group=await self._shore.is_group(inbound.room_id))
        if inbound.kind in _OF_ROOMS:
            key = room_key(inbound.room_id)
            stored = await retry_until_store_available(lambda: self._store.read(RoomRecord, key))
            owner = stored.value.matrix_user_id if stored.value else None
            inbound = evolve(inbound, sender=owner or inbound.sender)
        if inbound.kind is EventKind.TEXT and self._says(inbound, RETRY):
            before = await self._shore.last_question(inbound.room_id, inbound.sender)
            inbound = evolve(inbound, repeats=before)
        if inbound.about is not None and self._may_answer(inbound):
            mark = await self._shore.question_mark(inbound.room_id, inbound.about)
            if mark is not None and mark.asker in (None, inbound.sender):
                inbound = evolve(inbound, question=mark)
        return inbound

    def _says(self, inbound: Inbound, command: str) -> bool:
        said = said_in(inbound.body, self._policy.prefix, inbound.names)
        return isinstance(said, Command) and said.name == command

    def _may_answer(self, inbound: Inbound) -> bool:
        """Whether it is worth a look at what the event is about."""
        if inbound.kind is EventKind.REACTION:
            return compared(inbound.body) in self._policy.reactions
        return inbound.kind is EventKind.TEXT and len(inbound.body) <= self._policy.longest_answer

    async def _attempts(self, inbound: Inbound, attempt: int) -> None:
        await self._restore_files(inbound.event_id)
        failure = await self._tries(inbound.event_id, lambda: self._take(inbound, attempt))
        if failure is not None:
            await self._park(inbound, attempt, failure)
        self._files.pop(inbound.event_id, None)
        _log.debug("turn done", event_id=inbound.event_id)
        if inbound.kind in (EventKind.TEXT, EventKind.FILE):
            self._seen(inbound.room_id, inbound.event_id)

    async def _tries(
        self, event_id: EventId, take: Callable[[], Awaitable[None]]
    ) -> _Failure | None:
        """Try it some times; the failure, if it fails every time, or in a way that stays."""
        tries = 0

        def note(error: Exception, attempt: int) -> None:
            nonlocal tries
            tries = attempt
            if not isinstance(error, DatabaseMoved):
                _log.exception("turn failed", event_id=event_id, tries=attempt)

        try:
            await retry(
                lambda: retry_until_store_available(take),
                TURN,
                _turn_retry,
                _TIMING,
                on_failure=note,
            )
        except DatabaseMoved:
            raise  # nothing can be written any more: the bot ends
        except Exception as error:  # noqa: BLE001  # parked with its error, which `parked list` shows
            return _Failure(error, tries)
        return None

    async def _take(self, inbound: Inbound, attempt: int) -> None:
        amended = self._amending.amended(inbound)
        if amended is None:
            await self._give_up(inbound.event_id, inbound)
            return
        files = self._files.get(inbound.event_id, ())
        new = (file for file in files if file not in amended.attachments)
        amended = evolve(amended, attachments=(*amended.attachments, *new))
        outcome = await self._turns.take(amended, attempt)
        self._submit(outcome.rows)
        if inbound.kind is EventKind.OTHER and outcome.rows:
            self._note_explained(inbound)
        if outcome.question is not None:
            self._keep_files(outcome.question)
            async with self._joiner.joining(outcome.question.room_id):
                await self._asking.answer(outcome.question, attempt)
        if inbound.kind is EventKind.REDACTED and inbound.about is not None:
            await self._end_answer(inbound.about, inbound)
        for reopened in outcome.reopened:
            await self._attempts(reopened.inbound, reopened.attempt)

    async def _end_answer(self, taken_back: EventId, redaction: Inbound) -> None:
        """A message was taken back, to which an earlier life may have begun to give an answer.

        An id counts only in its own room: nobody takes back what was asked in another.
        """
        begun = self._asked.get(taken_back), await self._store.stream(taken_back)
        if redaction.room_id in {answer.room_id for answer in begun if answer is not None}:
            await self._give_up(taken_back, redaction)

    async def _give_up(self, event_id: EventId, inbound: Inbound) -> None:
        """A message was taken back before it was answered: it gets no answer any more.

        Args:
            event_id: The message.
            inbound: What is being handled: the message, or its redaction.
        """
        self._asked.pop(event_id, None)
        tongue = await self._tongue_of(inbound.sender)
        if not await self._asking.withdraw(event_id, tongue):
            with suppress(AlreadyHandled):
                await self._store.commit(Commit(handled=Handled(event_id, inbound.room_id)))

    def _keep_files(self, question: AskAgent) -> None:
        """Should the answer fail, the question is put again: with its files."""
        self._files[question.request_id] = tuple(
            a for a in question.attachments if a.event_id != question.request_id
        )

    async def _restore_files(self, event_id: EventId) -> None:
        """The files that went with the question in an earlier life."""
        asked = self._asked.pop(event_id, None)
        if asked is None:
            return
        found = [await self._shore.event(asked.room_id, file) for file in asked.files]
        self._files[event_id] = tuple(a for i in found if i is not None for a in i.attachments)

    async def _park(self, inbound: Inbound, attempt: int, failure: _Failure) -> None:
        tongue = await retry_until_store_available(lambda: self._tongue_of(inbound.sender))
        told = Reply(
            room_id=inbound.room_id,
            text=tongue.t(
                "Something went wrong on my side with this message. It is kept for the operator; "
                "please go on without it."
            ),
            in_reply_to=inbound.event_id,
        )
        last = ATTEMPT_ORDINALS - 1
        rows = tuple(self._replies.reply(told, inbound.event_id, attempt=attempt, index=last))
        problem = _spoken(failure.error)
        reach("park.before")
        stored = await retry_until_store_available(
            lambda: self._store.park_event(
                inbound.event_id,
                inbound.room_id,
                error=problem,
                attempts=failure.tries,
                outbox=rows,
            )
        )
        reach("park.after")
        self._submit(stored)


def _outcome(row: ReportedRow, room_id: RoomId | None, problem: str) -> Inbound:
    """What the turn of whoever asked for it hears."""
    if isinstance(row, CreateRoomRow):
        return _made(row, room_id, problem)
    assert row.report_to is not None  # noqa: S101  # else nobody is told
    return _done(row, row.report_to, problem)


def _made(row: CreateRoomRow, room_id: RoomId | None, problem: str) -> Inbound:
    """What the asker's turn hears of a room."""
    wish = row.room
    return Inbound(
        event_id=EventId(row.transaction_id),
        room_id=room_id or wish.asked_in,
        sender=wish.user_id,
        kind=EventKind.NOT_MADE if room_id is None else EventKind.MADE,
        body=wish.purpose,
        raw={"problem": problem, "asked_in": wish.asked_in, "name": wish.name},
    )


def _done(row: StateRow | InviteRow, asked: ReportTo, problem: str) -> Inbound:
    """What the asker's turn hears of another effect."""
    event_type, content = (
        (row.event_type, row.content) if isinstance(row, StateRow) else ("m.room.member", {})
    )
    return Inbound(
        event_id=EventId(row.transaction_id),
        room_id=asked.room_id,
        sender=asked.user_id,
        kind=EventKind.REFUSED if problem else EventKind.DONE,
        body=event_type,
        about=asked.about,
        raw={
            "problem": problem,
            "room_id": row.room_id,
            "content": content,
        },
    )


def _spoken(error: Exception) -> str:
    """The error as text that can be stored, whatever its own words are."""
    name = type(error).__name__
    try:
        return f"{name}: {error}".encode("utf-8", "replace").decode()
    except Exception:  # noqa: BLE001  # an error that can't say what it is: its name is stored
        return name


async def retry_until_store_available(operation: Callable[[], Awaitable[T]]) -> T:
    """Do it; while the store can't be written, wait and do it again."""
    failures = 0

    def note(error: Exception, attempt: int) -> None:
        nonlocal failures
        if isinstance(error, StoreUnavailable):
            failures = attempt
            if attempt == 1:
                _log.error("store unavailable, no turns are taken", problem=str(error))

    result = await retry(operation, STORE, _store_retry, _TIMING, on_failure=note)
    if failures:
        _log.warning("store available again")
    return result


def _turn_retry(error: Exception) -> float | None:
    return None if isinstance(error, (*_PERMANENT, DatabaseMoved)) else 0.0


def _store_retry(error: Exception) -> float | None:
    return 0.0 if isinstance(error, StoreUnavailable) else None
