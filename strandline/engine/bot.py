"""The bot: all parts assembled, supervised in one task group, and stopped in good order."""

import asyncio
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import structlog
from attrs import evolve

from durable import DataLock, FirstStart, Progress, Store, load, volume_warning
from durable.flows.language import language_code, language_key
from durable.records import FlowRecord
from ephemeral.agents.pool import AgentPool
from ephemeral.conversations import Conversations, Lapsed
from fsm import Command, EventKind, Flow, Inbound, Registry, Tier, Translator
from fsm.dispatch import said_in
from fsm.values.ids import RoomId, TransactionId, UserId
from fsm.values.text import compared
from matrix import (
    Delivery,
    Homeserver,
    HomeserverReader,
    Receipts,
    RoomCreator,
    SyncBatch,
    SyncEvent,
    SyncLoop,
    TimelineGap,
)
from strandline.config.model import Config
from strandline.config.settings import homeserver_settings, room_style
from strandline.engine.answering.asking import AnswerSettings, Asking
from strandline.engine.answering.edits import EditTracker
from strandline.engine.answering.publisher import AnswerPublisher
from strandline.engine.answering.question import QuestionBuilder
from strandline.engine.checkpoint import Batch, Checkpoint
from strandline.engine.clock import Clock
from strandline.engine.deadlines import Deadlines, Due
from strandline.engine.outbox import OutboxBuilder
from strandline.engine.outcomes import EffectOutcomes
from strandline.engine.queue import BoundedRoomQueues
from strandline.engine.turns import Turns, TurnSettings
from strandline.engine.work_items import NewEvent, Policy, Retry, UnreadGap, WorkItem, room_of
from strandline.engine.worker import RETRY, EventWorker, retry_until_store_available
from strandline.flows.discovery import agent_kind, make_found
from strandline.flows.languages import tongue
from strandline.flows.own_flows import make_flows

_log = structlog.get_logger(__name__)

STOP = "stop"
"""The command that ends an answer which is being given. It is heard out of turn."""

STOP_SIGN = "\N{OCTAGONAL SIGN}"
"""The reaction that does the same."""


class OpenStore(Protocol):
    """``Store.open``, or what stands in for it."""

    async def __call__(self, path: Path, *, now: Callable[[], datetime]) -> Store:
        """Open the database at ``path``."""


async def run(config: Config, clock: Clock | None = None) -> None:
    """Run the bot until SIGTERM or SIGINT.

    Raises:
        StrandlineError: It can't start: what is wrong, and what to do about it.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(config, stop, clock=clock)


async def serve(
    config: Config,
    stop: asyncio.Event,
    *,
    open_store: OpenStore = Store.open,
    clock: Clock | None = None,
) -> None:
    """Run the bot until ``stop`` is set.

    Args:
        config: What the operator decided.
        stop: Set it to have the bot finish what it has in hand and return.
        open_store: Opens the store; tests of failing disks have one that fails.
        clock: What time it is.

    Raises:
        StrandlineError: It can't start, or can't go on.
    """
    clock = clock or Clock()
    async with AsyncExitStack() as stack:
        lock = stack.enter_context(DataLock(config.storage.database))
        first_start = stack.enter_context(FirstStart(config.storage.database, lock))
        store = await open_store(config.storage.database, now=clock.now)
        stack.push_async_callback(store.close)
        bot = Bot(config, store, further=make_found(config.flows), clock=clock)
        await bot.load()
        homeserver = await stack.enter_async_context(
            Homeserver.connect(homeserver_settings(config.homeserver), config.storage.matrix_store)
        )
        first_start.succeeded()
        await store.mark_started()  # a start that fails above changes nothing
        await bot.run(homeserver, stop)


class Bot:
    """One bot on one store.

    Args:
        config: What the operator decided.
        store: Where its state is kept.
        further: Flows that are offered each event before the bot's own.
        clock: What time it is.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        *,
        further: Sequence[Flow] = (),
        clock: Clock | None = None,
    ) -> None:
        self._config = config
        self._store = store
        self._registry = Registry(config.registry_entries())
        self._clock = clock or Clock()
        self._started_at = self._clock.now()
        self._conversations = Conversations()
        self._connections = AgentPool(
            self._registry,
            kinds={entry.kind: agent_kind(entry.kind) for entry in self._registry},
            per_user=config.limits.questions_each,
            probe_seconds=config.limits.probe_seconds,
            answer_seconds=config.limits.answer_seconds,
        )
        self._amending = EditTracker(is_allowed=config.is_allowed)
        self._life = uuid4().hex
        self._replies = OutboxBuilder(notice=config.replies.message_type == "m.notice")
        self._flows = [
            *further,
            *make_flows(config, self._registry, self._started_at, further=further),
        ]

    async def load(self) -> None:
        """Bring durable state back, and say what came back and what did not."""
        warning = volume_warning(self._config.storage.data_dir)
        if warning:
            _log.warning(warning)
        self._report = await load(self._store, self._registry)
        forgotten = [f.name for f in self._flows if _has_tier(f, Tier.EPHEMERAL)]
        _log.info("restart report", flows_reset=forgotten, **self._report.fields())

    async def run(self, homeserver: Homeserver, stop: asyncio.Event) -> None:
        """Answer until ``stop`` is set, then finish what is in hand."""
        await self._assemble(homeserver)
        try:
            async with asyncio.TaskGroup() as parts:
                running = [
                    parts.create_task(part)
                    for part in (
                        self._rooms.run(self._handling.handle),
                        self._deliver(),
                        self._checkpoint.run(),
                        self._sweep(),
                    )
                ]
                running.append(parts.create_task(self._courtesy.run()))
                running.append(parts.create_task(self._connections.run()))
                await self._submit_owed()
                await self._queue_reopened()
                await self._queue_behind()
                intake = parts.create_task(self._sync.run(self))
                await stop.wait()
                intake.cancel()
                await self._finish()
                for task in running:
                    task.cancel()
        finally:
            await self._connections.close()

    async def _assemble(self, homeserver: Homeserver) -> None:
        config, limits = self._config, self._config.limits
        self._courtesy = Receipts(homeserver)
        self._delivery = Delivery(
            homeserver,
            maker=RoomCreator(
                homeserver, room_style(config.rooms), secret=await self._store.secret()
            ),
            is_taken_back=self._amending.is_redacted,
        )
        self._publisher = AnswerPublisher(
            self._store,
            self._delivery,
            self._replies,
            typing=self._courtesy.typing,
            new_transaction_id=_transaction_ids(),
        )
        self._asking = Asking(
            self._connections,
            QuestionBuilder(homeserver, max_file_bytes=config.files.most_bytes_each),
            self._amending,
            self._publisher,
            settings=AnswerSettings(
                edit_seconds=limits.edit_seconds,
                retry_command=f"{config.commands.prefix}{RETRY}",
            ),
        )
        turns = Turns(
            self._flows,
            store=self._store,
            conversations=self._conversations,
            clock=self._clock,
            settings=TurnSettings(
                prefix=config.commands.prefix,
                language=config.replies.language,
                life=self._life,
                server=config.homeserver.user_id.partition(":")[2],
                outbox=self._replies,
            ),
        )
        self._deadlines = Deadlines(
            self._store,
            frozenset(f.name for f in self._flows),
            monotonic=self._clock.monotonic,
        )
        self._has_deadlines = any(
            state.is_durable and state.expires is not None
            for flow in self._flows
            for state in flow.states.values()
        )
        self._checkpoint = Checkpoint(self._advance)
        self._reader = HomeserverReader(homeserver, amend=self._amending.note)
        self._sync = SyncLoop(
            homeserver,
            self._reader,
            since=self._report.checkpoint,
            was_joined=lambda room_id: retry_until_store_available(
                lambda: self._store.is_joined(room_id)
            ),
        )
        self._handling = EventWorker(
            store=self._store,
            turns=turns,
            asking=self._asking,
            amending=self._amending,
            shore=self._reader,
            checkpoint=self._checkpoint,
            submit=self._delivery.submit,
            eased=self._delivery.wait_for_backlog,
            seen=self._courtesy.read,
            replies=self._replies,
            tongue_of=self._tongue_of,
            policy=Policy.of(
                self._flows,
                is_allowed=config.is_allowed,
                tells_groups=config.rooms.respond_to != "everyone",
                prefix=config.commands.prefix,
                joins=config.replies.while_answering == "join",
            ),
            waiting=lambda room_id: self._rooms.waiting(room_id),  # noqa: PLW0108  # made below
            deadlines=self._deadlines,
            asked=await self._store.asked(),
        )
        self._rooms: BoundedRoomQueues[WorkItem] = BoundedRoomQueues(
            limits.queued_events, self._skipped
        )

    async def _tongue_of(self, user_id: UserId) -> Translator:
        kept = await self._store.read(FlowRecord, language_key(user_id))
        return tongue(language_code(kept.value), default=self._config.replies.language)

    async def _deliver(self) -> None:
        """Deliver; at a first start not before the token is kept that lies before all joins."""
        if self._report.checkpoint is None:
            await self._checkpoint.kept.wait()
        await self._delivery.run(EffectOutcomes(self._store, self._publisher, self._handling))

    async def _advance(self, progress: Progress) -> None:
        await retry_until_store_available(lambda: self._store.advance(progress))

    async def take(self, arrived: SyncBatch) -> None:
        """Queue what a sync response brings."""
        batch = self._checkpoint.begin(
            arrived.next,
            Counter(item.room_id for item in arrived.items),
            since=arrived.since,
            fixed=arrived.fixed,
            entered=arrived.entered,
            memberships=arrived.memberships,
        )
        for item in arrived.items:
            if isinstance(item, SyncEvent):
                inbound = self._heard(item.inbound)
                if await self._queue(NewEvent(inbound, batch), batch):
                    self._handling.heard(inbound.room_id)
            else:
                await self._queue(UnreadGap(item, batch), batch)

    async def _queue(self, item: NewEvent | UnreadGap, batch: Batch) -> bool:
        """Queue it, or have it read later where too much waits; whether it is queued."""
        room_id = room_of(item)
        if not self._checkpoint.may_skip(batch, room_id):
            await self._rooms.put(room_id, item)
            return True
        is_skipping = self._checkpoint.is_skipping(room_id)  # nothing overtakes what was skipped
        if is_skipping or not await self._rooms.offer(room_id, item):
            self._checkpoint.skip(batch, room_id)
            return False
        return True

    def _skipped(self, room_id: RoomId) -> UnreadGap | None:
        """What was skipped in the room, now that nothing waits in it."""
        batch = self._checkpoint.read_skipped(room_id)
        return None if batch is None else _stretch(room_id, batch)

    async def _queue_behind(self) -> None:
        """Read again where rooms were left behind by an earlier life."""
        if self._report.checkpoint is None:
            return
        for room_id, left in (await self._store.behind()).items():
            batch = self._checkpoint.restore(room_id, left, self._report.checkpoint)
            await self._rooms.put(room_id, _stretch(room_id, batch))

    def _heard(self, inbound: Inbound) -> Inbound:
        """The event; if it says stop, the answer in hand has been told and is what it is about."""
        if inbound.kind is EventKind.REACTION and compared(inbound.body) == STOP_SIGN:
            self._amending.stop(inbound.room_id, inbound.sender)
        elif inbound.kind is EventKind.TEXT:
            said = said_in(inbound.body, self._config.commands.prefix, inbound.names)
            if isinstance(said, Command) and said.name == STOP:
                stopped = self._amending.stop(inbound.room_id, inbound.sender)
                return evolve(inbound, about=stopped)
        return inbound

    async def _submit_owed(self) -> None:
        self._delivery.submit(await self._store.owed())

    async def _queue_reopened(self) -> None:
        for row in await self._store.reopened():
            await self._rooms.put(row.room_id, Retry(row.room_id, row.event_id, row.ordinal))

    async def _sweep(self) -> None:
        ahead = 0.0
        while True:
            await asyncio.sleep(self._clock.sweep_seconds)
            before, ahead = ahead, self._clock.ahead_seconds()
            ended: list[Lapsed | Due] = []
            for lapsed in self._conversations.sweep(self._clock.monotonic()):
                ended.append(lapsed)
                await self._rooms.put(lapsed.inbound.room_id, lapsed)
            if self._has_deadlines:
                for due in await retry_until_store_available(self._deadlines.passed):
                    ended.append(due)
                    await self._rooms.put(due.deadline.room_id, due)
            if ahead != before:  # a test waits for this
                ids = [item.event_id for item in ended]
                _log.debug("time was set forward", ahead_seconds=ahead, ended=ids)

    async def _finish(self) -> None:
        _log.info("stopping", within_seconds=self._config.limits.stop_seconds)
        try:
            async with asyncio.timeout(self._config.limits.stop_seconds):
                await self._rooms.stop()
                await self._delivery.drained()
                await self._checkpoint.flush()
        except TimeoutError:
            _log.warning("stopped with work in hand; it is done after the next start")
        _log.info("stopped")

    async def started(self) -> None:
        """Say so once the first token ever is kept: from then on nothing is missed."""
        if self._report.checkpoint is None:
            await self._checkpoint.kept.wait()
        _log.info("ready", user_id=self._config.homeserver.user_id)


def _stretch(room_id: RoomId, batch: Batch) -> UnreadGap:
    """A stretch of the room's history, as a batch that stands for it says."""
    assert batch.since is not None  # noqa: S101  # it was left there
    is_entered = room_id in batch.entered
    gap = TimelineGap(room_id=room_id, since=batch.since, end=batch.token, is_entered=is_entered)
    return UnreadGap(gap, batch)


def _has_tier(flow: Flow, tier: Tier) -> bool:
    return any(state.tier is tier for state in flow.states.values())


def _transaction_ids() -> Callable[[], TransactionId]:
    """Ids that no other life of the process has used or will use."""
    life, numbers = uuid4().hex, count()
    return lambda: TransactionId(f"strandline.{life}.{next(numbers)}")
