"""The bot that all walkers of a flow share, and what they have found out about the flow."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from attrs import define, field

from durable.inspector import StoreInspector
from fsm import Flow
from fsm.paths import Edge, Walk
from strandline.testing.bot import BotProcess
from strandline.testing.homeserver import Synapse
from strandline.testing.walking.causes import Causes
from strandline.testing.walking.steps import Comparison
from strandline.testing.walking.transition_log import TransitionLog
from strandline.testing.walking.walker import Walker

AT_ONCE = 8
"""The maximum number of walkers that act at the same time."""

SETTLE_SECONDS = 10.0
"""The maximum wait for the bot to finish its pending work."""


@define(eq=False)
class SharedBot:
    """Restarts the bot that all groups of walkers of one flow share, and collects their results.

    Attributes:
        flow: The flow.
        synapse: The homeserver.
        bot: The bot's process.
        transitions: The transitions in the bot's log.
        causes: Finds the actions that cause the flow's events.
        flows: The flow classes whose code the test can import, by name.
        comparison: Compares the results of steps with and without a restart.
        taken: The steps that some walker has taken.
        dead_ends: The walks whose last step did not happen, each with what happened instead.
        failures: The walkers whose checks failed, each with the problem.
        kills: How often the bot was killed.
        walked: The number of walks that were taken to the end.
    """

    flow: type[Flow]
    synapse: Synapse
    bot: BotProcess
    transitions: TransitionLog
    causes: Causes
    flows: Mapping[str, type[Flow]]
    comparison: Comparison = field(factory=Comparison)
    taken: set[Edge] = field(factory=set)
    dead_ends: dict[Walk, str] = field(factory=dict)
    failures: list[tuple[Walker, str]] = field(factory=list)
    kills: int = 0
    walked: int = 0

    async def kill_and_restart(self) -> None:
        """Send SIGKILL, and start the bot again with the same data."""
        await self.bot.kill()
        self.kills += 1
        await self.bot.start()

    def kept(self) -> dict[str, str]:
        """All records in the bot's database, as JSON texts by key."""
        return dict(StoreInspector(self.bot.database).rows("SELECT key, value FROM kv"))

    def set_aside(self) -> list[tuple[str, str]]:
        """The keys of all records that the bot could not decode, each with the error."""
        rows = StoreInspector(self.bot.database).rows("SELECT key, error FROM quarantine")
        return [(key, error) for key, error in rows]

    async def settle(self) -> None:
        """Wait until the bot's outbox is empty, and its log and records no longer change.

        Returns after ``SETTLE_SECONDS`` in any case.
        """
        statement = "SELECT count(*) FROM outbox WHERE parked_error IS NULL"
        end = asyncio.get_running_loop().time() + SETTLE_SECONDS
        before: object = None
        while asyncio.get_running_loop().time() < end:
            self.transitions.read()
            pending_rows = StoreInspector(self.bot.database).rows(statement)
            now = (self.transitions.count, self.kept())
            if pending_rows == [(0,)] and now == before:
                return
            before = now
            await asyncio.sleep(0.1)


async def each_of(whom: Iterable[Any], do: Callable[[Any], Awaitable[None]]) -> None:
    """Run ``do`` for each item, at most ``AT_ONCE`` at a time, and wait until all have ended.

    If some fail, the rest are cancelled and one of the errors is raised.

    Args:
        whom: The items, such as walkers.
        do: Called with one item.
    """
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(each: Any) -> None:
        async with limit:
            await do(each)

    try:
        async with asyncio.TaskGroup() as group:
            for each in list(whom):
                group.create_task(one(each))
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
