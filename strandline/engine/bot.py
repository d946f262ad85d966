"""The bot: opens its database, connects to the homeserver, and runs until it is stopped."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Protocol

import structlog

from durable.store import DataLock, FirstStart, SqliteStore, Store, volume_warning
from ephemeral.agents.pool import AgentPool
from fsm import Flow, Registry, Tier
from matrix import Homeserver
from strandline.config.matrix_settings import homeserver_settings
from strandline.config.model import Config
from strandline.engine.assembly import Setup, build_engine
from strandline.engine.clock import Clock
from strandline.flows.discovery import agent_kind, make_found
from strandline.flows.own_flows import make_flows

_log = structlog.get_logger(__name__)


class OpenStore(Protocol):
    """Opens the bot's store: ``SqliteStore.open``, or a test's replacement for it."""

    async def __call__(self, path: Path, *, now: Callable[[], datetime]) -> Store:
        """Open the database and return it as a store.

        Args:
            path: The database file.
            now: Returns the current time, timezone-aware, in UTC.
        """


async def run(config: Config, clock: Clock | None = None) -> None:
    """Run the bot until SIGTERM or SIGINT.

    Args:
        config: The operator's config.
        clock: The clocks; None for the system's clocks.

    Raises:
        StrandlineError: The bot can't start; the message has the reason and the remedy.
        ExceptionGroup: A part of the bot failed while the bot ran. The group contains the part's
            error.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(config, stop, clock=clock)


async def serve(
    config: Config,
    stop: asyncio.Event,
    *,
    open_store: OpenStore = SqliteStore.open,
    clock: Clock | None = None,
) -> None:
    """Run the bot until ``stop`` is set.

    Args:
        config: The operator's config.
        stop: When it is set, the bot finishes what is in progress, and this function returns.
        open_store: Opens the store. A test can pass a function that returns a store whose disk
            fails.
        clock: The clocks; None for the system's clocks.

    Raises:
        StrandlineError: The bot can't start; the message has the reason and the remedy.
        ExceptionGroup: A part of the bot failed while the bot ran. The group contains the part's
            error.
    """
    clock = clock or Clock()
    async with AsyncExitStack() as stack:
        lock = stack.enter_context(DataLock(config.storage.database))
        first_start = stack.enter_context(FirstStart(config.storage.database, lock))
        store = await open_store(config.storage.database, now=clock.now)
        stack.push_async_callback(store.close)
        bot = Bot(config, store, further=make_found(config.flows), clock=clock)
        await bot.log_restart_report()
        homeserver = await stack.enter_async_context(_connected(config))
        first_start.succeeded()
        await store.mark_started()  # a start that fails above changes nothing
        await bot.run(homeserver, stop)


def _connected(config: Config) -> AbstractAsyncContextManager[Homeserver]:
    settings = homeserver_settings(config.homeserver)
    return Homeserver.connect(settings, config.storage.matrix_store)


class Bot:
    """One bot: its flows, its agents and the store of its durable state.

    Args:
        config: The operator's config.
        store: The open store.
        further: Flows that the config or installed distributions name. They are offered each event
            before the built-in flows.
        clock: The clocks; None for the system's clocks.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        *,
        further: Sequence[Flow] = (),
        clock: Clock | None = None,
    ) -> None:
        clock = clock or Clock()
        self._store = store
        self._registry = Registry(config.registry_entries())
        own = make_flows(config, self._registry, clock.now(), further=further)
        self._setup = Setup(
            config=config,
            flows=(*further, *own),
            agents=_agent_pool(config, self._registry),
            clock=clock,
        )

    async def log_restart_report(self) -> None:
        """Log what the store contains, and which flows have ephemeral states: those are lost.

        Also log a warning if the data folder would be lost with the bot's container. Nothing is
        loaded into memory.
        """
        warning = volume_warning(self._setup.config.storage.data_dir)
        if warning:
            _log.warning(warning)
        report = await self._store.restart_report(frozenset(entry.id for entry in self._registry))
        forgotten = [f.name for f in self._setup.flows if _has_tier(f, Tier.EPHEMERAL)]
        _log.info("restart report", flows_reset=forgotten, **report.fields())

    async def run(self, homeserver: Homeserver, stop: asyncio.Event) -> None:
        """Handle events until ``stop`` is set, then finish what is in progress."""
        engine = await build_engine(self._setup, self._store, homeserver)
        await engine.run(stop)


def _agent_pool(config: Config, registry: Registry) -> AgentPool:
    limits = config.limits
    return AgentPool(
        registry,
        kinds={entry.kind: agent_kind(entry.kind) for entry in registry},
        per_user=limits.questions_each,
        probe_seconds=limits.probe_seconds,
        answer_seconds=limits.answer_seconds,
    )


def _has_tier(flow: Flow, tier: Tier) -> bool:
    return any(state.tier is tier for state in flow.states.values())
