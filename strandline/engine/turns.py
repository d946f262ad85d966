"""Turns: each inbound event is handled in one transaction.

The engine makes no decisions about conversations. It finds the flow that handles the event, runs
the flow's handlers and commits their effects. Nothing is sent before that commit.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import structlog
from attrs import define, evolve, field, frozen

from durable.flows.language import language_code, language_key
from durable.records import FlowRecord, flow_key, used_key
from durable.store import (
    AlreadyHandled,
    Commit,
    Conflict,
    Handled,
    PlatformChatSequence,
    QuestionFiles,
    Reopened,
    Store,
)
from durable.turn_records import TurnRecords, read_ahead
from ephemeral.conversations import Conversations, ExpiringState
from fsm import EventKind, Flow, Inbound, RoomEvent, Snapshot, Translator, Turn
from fsm.dispatch import Dispatcher, stimuli_of
from fsm.effects import AskAgent, Reopen
from fsm.errors import TurnError
from fsm.failpoints import reach
from fsm.kept_record import KeptAsRecord
from fsm.outbox import OutboxRow
from fsm.values.ids import ConversationKey, TransactionId, UserId
from strandline.engine.clock import Clock
from strandline.engine.deadlines import DueDeadline
from strandline.engine.outbox import OutboxBuilder
from strandline.flows.languages import ENGLISH, translator_for

_log = structlog.get_logger(__name__)

_NO_EVENTS = {
    EventKind.INVITED,
    EventKind.ROOM_CREATED,
    EventKind.ROOM_FAILED,
    EventKind.DONE,
    EventKind.REFUSED,
    EventKind.EXPIRED,
}
"""Kinds of inbound events whose ids are not stored as handled. An invite is sent again by the
homeserver until the bot accepts or rejects it. The others are not events of the homeserver."""


@frozen(kw_only=True)
class Outcome:
    """The result of a turn: what the caller must do after the commit.

    Args:
        rows: The turn's outbox rows as they are stored, to be delivered.
        question: The question that the turn asks an agent; None if it asks none. The turn's event
            counts as handled only when the answer is committed.
        reopened: Events to handle again, before any later event of the room.
        turn: The turn with all its effects; without effects if its event was handled before. None
            if no turn was run. It is ignored when outcomes are compared.
    """

    rows: tuple[OutboxRow, ...] = ()
    question: AskAgent | None = None
    reopened: tuple[Reopen, ...] = ()
    turn: Turn | None = field(default=None, eq=False, repr=False)


@frozen
class _Work:
    """One try at a turn.

    Args:
        dispatcher: Runs the turn through the flows.
        records: The records that the try reads and writes.
    """

    dispatcher: Dispatcher
    records: TurnRecords

    @property
    def turn(self) -> Turn:
        return self.dispatcher.turn


@frozen(kw_only=True)
class TurnSettings:
    """The settings of all turns of this process.

    Args:
        prefix: The text with which a command begins.
        language: The code of the language for users who have chosen none.
        life: The id of this run of the process.
        outbox: Makes outbox rows of effects.
    """

    prefix: str = "!"
    language: str = ENGLISH
    life: str = ""
    outbox: OutboxBuilder = field(factory=OutboxBuilder)


class Turns:
    """Handles inbound events with flows, each in one transaction.

    Args:
        flows: The running flows, in the order in which they are offered an event. The first flow
            that answers the event handles it.
        store: The store of durable state.
        conversations: The ephemeral states.
        clock: The clocks.
        settings: The settings of all turns.
    """

    def __init__(
        self,
        flows: Sequence[Flow],
        *,
        store: Store,
        conversations: Conversations,
        clock: Clock,
        settings: TurnSettings,
    ) -> None:
        self._flows = {flow.name: flow for flow in flows}
        self._store = store
        self._conversations = conversations
        self._sequence = PlatformChatSequence(store)
        self._clock = clock
        self._settings = settings
        self._locks = KeyLocks()

    async def take(
        self, inbound: Inbound, attempt: int = 0, *, deletes_row: TransactionId | None = None
    ) -> Outcome:
        """Handle ``inbound`` and commit. An event that was handled before changes nothing.

        Args:
            inbound: The event.
            attempt: How often the event was handled before.
            deletes_row: The transaction id of the outbox row whose outcome the event reports: the
                commit deletes that row. None for other events.

        Raises:
            Exception: Any exception of a handler. Nothing was changed then.
        """

        async def decide(work: _Work) -> None:
            await work.dispatcher.take(stimuli_of(inbound, self._settings.prefix))

        return await self._turn(inbound, decide, attempt=attempt, deletes_row=deletes_row)

    async def dry_run(self, inbound: Inbound) -> AskAgent | None:
        """Return the question that the event's turn would ask an agent, without changing anything.

        Returns:
            The question. None if the turn would ask none, or would do more than ask it and record
            that the room is in use.
        """
        async with AsyncExitStack() as stack:
            work = await self._begin(stack, inbound)
            await work.dispatcher.take(stimuli_of(inbound, self._settings.prefix))
        match work.turn.effects:
            case [AskAgent() as question]:
                stays = all(moved.before == moved.after for moved in work.dispatcher.moves)
                only_touches = set(work.records.writes) <= {used_key(inbound.room_id)}
                return question if stays and only_touches else None
        return None

    async def expire(self, lapsed: ExpiringState) -> Outcome:
        """Handle the expiry of an ephemeral state."""
        flow, origin = self._flows[lapsed.flow], lapsed.inbound
        key = flow.key(origin.room_id, origin.sender)

        async def decide(work: _Work) -> None:
            stored = await work.records.stored_snapshot(flow, key)
            live = self._conversations.find(flow, key, self._clock.monotonic())
            still = live is None and stored == lapsed.beneath
            await work.dispatcher.expire(flow, lapsed.snapshot, still=still)

        inbound = Inbound(
            event_id=lapsed.event_id,
            room_id=origin.room_id,
            sender=origin.sender,
            kind=EventKind.EXPIRED,
            thread=origin.thread,
        )
        return await self._turn(inbound, decide)

    async def fall_due(self, due: DueDeadline) -> Outcome:
        """Handle the passed deadline of a durable state in a turn.

        Nothing happens if the deadline was changed meanwhile, or if the conversation is in an
        ephemeral state now. The deadline of a state that no longer expires is deleted. If the
        flow's scope has changed, so that the conversation would have another key, the stored state
        is moved to the quarantine.
        """
        flow, deadline = self._flows[due.flow], due.deadline
        key = flow.key(deadline.room_id, deadline.sender)
        if key != due.key:
            await self._set_aside(due, f"the flow's conversations are not kept by {due.key} now")
            return Outcome()

        async def decide(work: _Work) -> None:
            snapshot = await work.records.stored_snapshot(flow, key)
            live = self._conversations.find(flow, key, self._clock.monotonic())
            if live is None and work.records.deadline(flow, key) == deadline:
                await _expire_durable(work, flow, key, snapshot)

        inbound = Inbound(
            event_id=due.event_id,
            room_id=deadline.room_id,
            sender=deadline.sender,
            kind=EventKind.EXPIRED,
        )
        return await self._turn(inbound, decide)

    async def _set_aside(self, due: DueDeadline, problem: str) -> None:
        key = flow_key(due.flow, due.key)
        stored = await self._store.read(FlowRecord, key)
        if stored.text is not None:
            await self._store.set_aside(key, stored.text, problem)

    async def _turn(
        self,
        inbound: Inbound,
        decide: Callable[[_Work], Awaitable[None]],
        *,
        attempt: int = 0,
        deletes_row: TransactionId | None = None,
    ) -> Outcome:
        while True:
            async with AsyncExitStack() as stack:
                work = await self._begin(stack, inbound, attempt)
                reach("turn.decide.before")
                await decide(work)
                reach("turn.decide.after")
                try:
                    return await self._commit(work, deletes_row)
                except Conflict:
                    continue  # another turn changed what this one has read: it is decided again
                except AlreadyHandled:
                    return Outcome(turn=evolve(work.turn, effects=[]))

    async def _begin(self, stack: AsyncExitStack, inbound: Inbound, attempt: int = 0) -> _Work:
        """Lock the room and the sender until ``stack`` is closed; return a new try at the turn."""
        await stack.enter_async_context(
            self._locks.hold(f"room:{inbound.room_id}", f"user:{inbound.sender}")
        )
        records = await stack.enter_async_context(TurnRecords(self._store, self._sequence))
        await read_ahead(records, inbound)
        turn = Turn(
            inbound=inbound,
            now=self._clock.now(),
            stimulus=RoomEvent(inbound.kind),
            bot_records=records,
            prefix=self._settings.prefix,
            translator=await self._translator(records, inbound.sender),
            room_link=self._settings.outbox.room_link,
            life=self._settings.life,
            attempt=attempt,
        )
        dispatcher = Dispatcher(
            flows=self._flows,
            turn=turn,
            read_state=partial(self._snapshot, records),
            keep=partial(records.save_snapshot, turn=turn),
        )
        return _Work(dispatcher, records)

    async def _snapshot(self, records: TurnRecords, flow: Flow, key: ConversationKey) -> Snapshot:
        stored = await records.stored_snapshot(flow, key)
        return self._conversations.find(flow, key, self._clock.monotonic()) or stored

    async def _translator(self, records: TurnRecords, user_id: UserId) -> Translator:
        record = await records.read(FlowRecord, language_key(user_id))
        return translator_for(language_code(record), default=self._settings.language)

    async def _commit(self, work: _Work, deletes_row: TransactionId | None) -> Outcome:
        turn, effects = work.turn, work.turn.effects
        question = next((e for e in effects if isinstance(e, AskAgent)), None)
        reopened = tuple(e for e in effects if isinstance(e, Reopen))
        if question is not None:
            self._refuse_moves(work)
        rows = await asyncio.to_thread(
            self._settings.outbox.rows, turn.inbound, effects, attempt=turn.attempt
        )
        commit = Commit(
            expected=work.records.expected,
            writes=work.records.writes,
            outbox=rows,
            handled=None if question is not None else _handled(turn.inbound),
            deletes_row=deletes_row,
            question_files=_files_of_others(question, reopened),
            reopens=tuple(map(_reopened, reopened)),
        )
        reach("turn.commit.before")
        rows = await self._store.commit(commit)
        reach("turn.commit.after")
        self._settle(work)
        return Outcome(rows=rows, question=question, reopened=reopened, turn=turn)

    def _refuse_moves(self, work: _Work) -> None:
        """Refuse changes of durable states in a turn that asks an agent.

        After a crash, the event of such a turn is handled again, which would make the changes
        twice.

        Raises:
            TurnError: The turn has changed a durable state.
        """
        for moved in work.dispatcher.moves:
            flow = self._flows[moved.flow]
            if (
                flow.is_durable
                and not isinstance(flow, KeptAsRecord)
                and moved.after != moved.before
            ):
                problem = f"{moved.flow} changes its durable state in a turn that asks an agent"
                remedy = "do it in another turn: this one is decided again after a crash"
                raise TurnError(problem, remedy)

    def _settle(self, work: _Work) -> None:
        """Apply the turn's changes of ephemeral states in memory, after the turn has committed."""
        turn = work.turn
        for moved in work.dispatcher.moves:
            flow, now = self._flows[moved.flow], self._clock.monotonic()
            self._conversations.put(flow, moved, turn.inbound, now)
            _log.debug(
                "moved",
                flow=moved.flow,
                key=moved.key,
                by=moved.event,
                source=moved.before.state,
                target=moved.after.state,
                event_id=turn.inbound.event_id,
            )


async def _expire_durable(
    work: _Work, flow: Flow, key: ConversationKey, snapshot: Snapshot
) -> None:
    if flow.lifetime(flow.states[snapshot.state]) is None:
        work.records.drop_deadline(flow, key)
    else:
        await work.dispatcher.expire(flow, snapshot, still=True)


def _handled(inbound: Inbound) -> Handled | None:
    if inbound.kind in _NO_EVENTS:
        return None
    return Handled(inbound.event_id, inbound.room_id)


def _reopened(effect: Reopen) -> Reopened:
    return Reopened(effect.inbound.event_id, effect.inbound.room_id, effect.attempt)


def _files_of_others(
    question: AskAgent | None, reopened: Iterable[Reopen]
) -> tuple[QuestionFiles, ...]:
    """Return the questions with files that arrived as other events.

    Args:
        question: The question that the turn asks an agent; None if it asks none.
        reopened: The turn's events to handle again.

    Returns:
        Each question with the ids of those other events. They are stored with the commit, because
        nothing else connects the question with its files after a restart.
    """
    asking = [(r.inbound.event_id, r.inbound.room_id, r.inbound.attachments) for r in reopened]
    if question is not None:
        asking.append((question.request_id, question.room_id, question.attachments))
    return tuple(
        QuestionFiles(event_id=event_id, room_id=room_id, files=files)
        for event_id, room_id, attachments in asking
        if (files := tuple(a.event_id for a in attachments if a.event_id != event_id))
    )


@define
class _Counted:
    lock: asyncio.Lock = field(factory=asyncio.Lock)
    users: int = 0


class KeyLocks:
    """Mutual exclusion by key. Several keys are locked in sorted order, to avoid deadlocks."""

    def __init__(self) -> None:
        self._locks: dict[str, _Counted] = {}

    def __len__(self) -> int:
        return len(self._locks)

    @asynccontextmanager
    async def hold(self, *keys: str) -> AsyncIterator[None]:
        """Lock all ``keys`` while the body runs."""
        async with AsyncExitStack() as stack:
            for key in sorted(set(keys)):
                await stack.enter_async_context(self._one(key))
            yield

    @asynccontextmanager
    async def _one(self, key: str) -> AsyncIterator[None]:
        counted = self._locks.setdefault(key, _Counted())
        counted.users += 1
        try:
            async with counted.lock:
                yield
        finally:
            counted.users -= 1
            if not counted.users:
                del self._locks[key]
