"""Builds an engine from the config, the store and the homeserver."""

from collections.abc import Callable
from functools import cached_property, partial
from itertools import count
from uuid import uuid4

from attrs import frozen

from durable.store import QuestionFiles, Store
from ephemeral.agents.pool import AgentPool
from ephemeral.conversations import Conversations
from fsm import Flow
from fsm.values.ids import EventId, SyncToken, TransactionId
from matrix import Delivery, Homeserver, HomeserverReader, Receipts, RoomCreator, SyncLoop
from strandline.config.matrix_settings import room_style
from strandline.config.model import Config
from strandline.engine.answering.asking import AnswerSettings, Asking
from strandline.engine.answering.edits import EditTracker
from strandline.engine.answering.joining import QuestionJoiner
from strandline.engine.answering.publisher import AnswerPublisher
from strandline.engine.answering.question import QuestionBuilder
from strandline.engine.checkpoint import Checkpoint
from strandline.engine.clock import Clock
from strandline.engine.deadlines import Deadlines
from strandline.engine.engine import Engine, InboundPipeline, OutboundPipeline
from strandline.engine.event_filter import RETRY, EventFilter, Policy
from strandline.engine.event_handler import EventHandler
from strandline.engine.expiries import Expiries
from strandline.engine.failures import FailureHandler, Translators
from strandline.engine.intake import BatchIntake, next_skipped
from strandline.engine.outbox import OutboxBuilder
from strandline.engine.outcomes import EffectOutcomes
from strandline.engine.questions import PendingQuestions
from strandline.engine.retrying_store import RetryingStore
from strandline.engine.room_queues import BoundedRoomQueues
from strandline.engine.sweeper import Sweeper
from strandline.engine.turn_runner import TurnRunner
from strandline.engine.turns import Turns, TurnSettings
from strandline.engine.work_items import WorkItem
from strandline.engine.worker import EventWorker


@frozen(kw_only=True)
class Setup:
    """The parts of a bot that depend neither on its stored state nor on its Matrix account.

    Args:
        config: The operator's config.
        flows: The running flows, in the order in which they are offered an event.
        agents: The connections to the agents.
        clock: The clocks.
    """

    config: Config
    flows: tuple[Flow, ...]
    agents: AgentPool
    clock: Clock


@frozen(kw_only=True)
class _StoredState:
    """The data that is read from the store before the parts are created.

    Args:
        checkpoint: The sync token from which syncing continues; None at the bot's first start.
        secret: The store's random text, which makes the aliases of created rooms unguessable.
        question_files: The questions with files whose answers are not complete, by the id of the
            event that asked.
    """

    checkpoint: SyncToken | None
    secret: str
    question_files: dict[EventId, QuestionFiles]


async def build_engine(setup: Setup, store: Store, homeserver: Homeserver) -> Engine:
    """Read what the engine needs from the store, and return the engine of one run of the bot."""
    stored = _StoredState(
        checkpoint=await store.checkpoint.token(),
        secret=await store.secret(),
        question_files=await store.question_files(),
    )
    return _Assembly(setup, store, homeserver, stored).engine


class _Assembly:
    """Creates the parts of an engine, each at its first use, after the parts that it depends on."""

    def __init__(
        self, setup: Setup, store: Store, homeserver: Homeserver, stored: _StoredState
    ) -> None:
        self._setup = setup
        self._config = setup.config
        self._flows = setup.flows
        self._clock = setup.clock
        self._raw_store = store
        self._homeserver = homeserver
        self._stored = stored
        self._store = RetryingStore(store)
        self._builder = OutboxBuilder(
            notice=self._config.replies.message_type == "m.notice",
            server=self._config.homeserver.user_id.partition(":")[2],
        )
        self._edits = EditTracker(is_allowed=self._config.is_allowed)
        self._conversations = Conversations()
        self._receipts = Receipts(homeserver)
        self._translators = Translators(self._store, self._config.replies.language)

    @cached_property
    def engine(self) -> Engine:
        sweeper = Sweeper(self._conversations, self._deadlines, self._queues, self._clock)
        return Engine(
            inbound=self._inbound,
            outbound=OutboundPipeline(
                delivery=self._delivery, outcomes=self._outcomes, checkpoint=self._checkpoint
            ),
            agents=self._setup.agents,
            background=[sweeper, self._receipts],
            store=self._raw_store,
            stop_seconds=self._config.limits.stop_seconds,
        )

    @cached_property
    def _inbound(self) -> InboundPipeline:
        sync = SyncLoop(
            self._homeserver,
            self._reader,
            since=self._stored.checkpoint,
            was_joined=self._store.is_joined,
        )
        intake = BatchIntake(
            queues=self._queues,
            checkpoint=self._checkpoint,
            edits=self._edits,
            joiner=self._joiner,
            prefix=self._config.commands.prefix,
            user_id=self._config.homeserver.user_id,
        )
        return InboundPipeline(
            sync=sync,
            intake=intake,
            queues=self._queues,
            worker=self._worker,
            checkpoint=self._checkpoint,
        )

    @cached_property
    def _checkpoint(self) -> Checkpoint:
        return Checkpoint(self._store.save_checkpoint, saved=self._stored.checkpoint)

    @cached_property
    def _queues(self) -> BoundedRoomQueues[WorkItem]:
        refill = partial(next_skipped, self._checkpoint)
        return BoundedRoomQueues(self._config.limits.queued_events, refill)

    @cached_property
    def _reader(self) -> HomeserverReader:
        return HomeserverReader(self._homeserver, amend=self._edits.note)

    @cached_property
    def _worker(self) -> EventWorker:
        return EventWorker(
            events=self._events,
            expiries=Expiries(self._runner, self._deadlines, self._failures),
            checkpoint=self._checkpoint,
            delivery=self._delivery,
            reader=self._reader,
            store=self._store,
        )

    @cached_property
    def _events(self) -> EventHandler:
        policy = Policy.of(
            self._flows,
            is_allowed=self._config.is_allowed,
            tells_groups=self._config.rooms.respond_to != "everyone",
            prefix=self._config.commands.prefix,
        )
        return EventHandler(
            event_filter=EventFilter(self._store, self._reader, policy),
            runner=self._runner,
            questions=self._questions,
            joiner=self._joiner,
            failures=self._failures,
            receipts=self._receipts,
        )

    @cached_property
    def _deadlines(self) -> Deadlines:
        has_deadlines = any(
            state.is_durable and state.expires is not None
            for flow in self._flows
            for state in flow.states.values()
        )
        names = frozenset(flow.name for flow in self._flows) if has_deadlines else frozenset()
        return Deadlines(self._store, names, monotonic=self._clock.monotonic)

    @cached_property
    def _turns(self) -> Turns:
        config = self._config
        return Turns(
            self._flows,
            store=self._raw_store,
            conversations=self._conversations,
            clock=self._clock,
            settings=TurnSettings(
                prefix=config.commands.prefix,
                language=config.replies.language,
                life=uuid4().hex,
                outbox=self._builder,
            ),
        )

    @cached_property
    def _runner(self) -> TurnRunner:
        return TurnRunner(self._turns, self._delivery)

    @cached_property
    def _joiner(self) -> QuestionJoiner:
        joins = self._config.replies.while_answering == "join"
        queued = self._queues.waiting if joins else None
        return QuestionJoiner(self._turns, self._edits, queued=queued)

    @cached_property
    def _questions(self) -> PendingQuestions:
        return PendingQuestions(
            store=self._store,
            reader=self._reader,
            asking=self._asking,
            edits=self._edits,
            translators=self._translators,
            question_files=self._stored.question_files,
        )

    @cached_property
    def _asking(self) -> Asking:
        config = self._config
        return Asking(
            self._setup.agents,
            QuestionBuilder(self._homeserver, max_file_bytes=config.files.most_bytes_each),
            self._edits,
            self._publisher,
            settings=AnswerSettings(
                edit_seconds=config.limits.edit_seconds,
                retry_command=f"{config.commands.prefix}{RETRY}",
            ),
        )

    @cached_property
    def _publisher(self) -> AnswerPublisher:
        return AnswerPublisher(
            self._raw_store,
            self._delivery,
            self._builder,
            typing=self._receipts.typing,
            new_transaction_id=_transaction_ids(),
        )

    @cached_property
    def _delivery(self) -> Delivery:
        style = room_style(self._config.rooms)
        return Delivery(
            self._homeserver,
            room_creator=RoomCreator(self._homeserver, style, secret=self._stored.secret),
            is_known_redacted=self._edits.is_redacted,
        )

    @cached_property
    def _failures(self) -> FailureHandler:
        return FailureHandler(self._store, self._delivery, self._builder, self._translators)

    @cached_property
    def _outcomes(self) -> EffectOutcomes:
        return EffectOutcomes(self._store, self._publisher, self._runner, self._failures)


def _transaction_ids() -> Callable[[], TransactionId]:
    """Return a function that returns a new transaction id at each call.

    No other run of the process uses the same ids.
    """
    life, numbers = uuid4().hex, count()
    return lambda: TransactionId(f"strandline.{life}.{next(numbers)}")
