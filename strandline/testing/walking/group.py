"""Runs a group of walkers with one bot, which is killed while all of them talk to it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from attrs import define, field

from durable.records import flow_key
from fsm.kept_record import KeptAsRecord
from fsm.paths import By, Edge, Walk, arrive
from fsm.values.ids import ConversationKey
from strandline.testing.walking.after_restart import AfterRestart
from strandline.testing.walking.shared_bot import SharedBot, each_of
from strandline.testing.walking.step_runner import DOUBT_SECONDS, StepRunner
from strandline.testing.walking.steps import Step, forgets, is_meant
from strandline.testing.walking.walker import Cause, Walker


def groups(walks: Iterable[Walk]) -> list[tuple[tuple[Edge, ...], list[Walk]]]:
    """Group the walks that can run side by side with one bot.

    A restart or an expiry happens to all walks of a group at the same time. So a walk fits into a
    group whose last restarts and expiries are those of the walk. The walk then begins later than
    the longest walks of the group.

    Returns:
        For each group, its restarts and expiries in order, and its walks.
    """
    found: list[tuple[tuple[Edge, ...], list[Walk]]] = []
    walks = list(walks)
    for shared in sorted({walk.globals for walk in walks}, key=_length_then_name, reverse=True):
        of_these = [walk for walk in walks if walk.globals == shared]
        host = next((c for c in found if c[0][len(c[0]) - len(shared) :] == shared), None)
        if host is None:
            found.append((shared, of_these))
        else:
            host[1].extend(of_these)
    return list(reversed(found))


def _length_then_name(shared: tuple[Edge, ...]) -> tuple[int, str]:
    return len(shared), " ".join(f"{edge.by.value} {edge.lasts}" for edge in shared)


@define(eq=False)
class WalkerGroup:
    """Runs walkers who wait for one another at each restart and each expiry.

    These shared steps divide the run into stages, in which each walker takes its own steps. Stage 0
    ends with the first shared step.

    Args:
        shared_bot: The bot, and what all groups have found out.
        shared: The restarts and expiries of the group, in order.
        walks: The walks to take.
        first: What every walker does before its walk begins.
        walkers: The walkers created so far.
        runner: Runs the walkers' steps.
    """

    shared_bot: SharedBot
    shared: Sequence[Edge]
    walks: Sequence[Walk]
    first: Sequence[Cause] = ()
    walkers: list[Walker] = field(factory=list)
    runner: StepRunner = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.runner = StepRunner(self.shared_bot)

    async def go(self) -> None:
        """Take all walks, then kill and restart the bot, and check every walker."""
        try:
            for stage in range(len(self.shared) + 1):
                begins = [w for w in self.walks if self._begin(w) == stage]
                await each_of(begins, self._arrive)
                under_way = [w for w in self._under_way(stage) if self._begin(w.walk) < stage]
                await each_of(under_way, partial(self._stretch, stage=stage))
                if stage < len(self.shared):
                    await self._together(stage)
            await self._last_kill()
        finally:
            for walker in self.walkers:
                await walker.close()

    async def _arrive(self, walk: Walk) -> None:
        """Create a walker, and take the walk's steps up to its first shared step.

        Does nothing if the walk begins with steps that are known to be impossible.
        """
        shared_bot = self.shared_bot
        if any(beginning in shared_bot.dead_ends for beginning in walk.prefixes()):
            return
        walker = await Walker.arrive(
            shared_bot.synapse, shared_bot.transitions, shared_bot.flow, walk, bot=shared_bot.bot
        )
        self.walkers.append(walker)
        self.runner.steps[walker] = []
        for cause in self.first:
            await self.runner.do(walker, cause)
        self.runner.follow(walker)
        await self._stretch(walker, stage=self._begin(walk))

    def _under_way(self, stage: int) -> list[Walker]:
        return [w for w in self.walkers if stage >= self._begin(w.walk) and self._is_well(w)]

    def _is_well(self, walker: Walker) -> bool:
        return not walker.turned_off and not walker.failure

    def _begin(self, walk: Walk) -> int:
        """The stage at which the walk begins.

        A walk with fewer shared steps than the group begins later, so that both end together.
        """
        return len(self.shared) - len(walk.globals)

    async def _stretch(self, walker: Walker, *, stage: int) -> None:
        """Take the walker's own steps of this stage, up to the next shared step."""
        begin = self._begin(walker.walk)
        edges = walker.walk.edges
        borders = [-1, *(n for n, edge in enumerate(edges) if edge.is_global), len(edges)]
        for number in range(borders[stage - begin] + 1, borders[stage - begin + 1]):
            await self._step(walker, number)
            if not self._is_well(walker):
                return

    async def _step(self, walker: Walker, number: int) -> None:
        edge, before = walker.walk.edges[number], Walk(walker.walk.idle, walker.walk.edges[:number])
        if before.then(edge) in self.shared_bot.dead_ends:
            walker.turned_off = self.shared_bot.dead_ends[before.then(edge)]
            return
        await self.runner.comes_to(walker, edge.source)
        step = await self.runner.take(walker, edge, before)
        if self._is_well(walker) and not any(is_meant(move, edge) for move in step.moves):
            walker.turned_off = self._explained(step)
            self.shared_bot.dead_ends.setdefault(before.then(edge), walker.turned_off)

    def _explained(self, step: Step) -> str:
        moves = ", ".join(map(str, step.moves)) or "no step of this flow"
        return f"what was done led to {moves}"

    async def _together(self, stage: int) -> None:
        """Take the shared step that ends this stage: restart the bot, or set its clock forward."""
        shared_bot, walkers = self.shared_bot, self._under_way(stage)
        if self.shared[stage].by is By.RESTART:
            await shared_bot.settle()
            for walker in walkers:
                self.runner.follow(walker)
            await self._killed(walkers)
            return
        lasts = self.shared[stage].lasts or timedelta()
        moved = {walker: len(walker.moves) for walker in walkers}
        await shared_bot.bot.advance(lasts + timedelta(seconds=1))
        await each_of(walkers, lambda w: self._time_is_up(w, stage, moved[w]))

    async def _time_is_up(self, walker: Walker, stage: int, moved: int) -> None:
        edge = [e for e in walker.walk.edges if e.is_global][stage - self._begin(walker.walk)]
        state = walker.flow.states[edge.source]
        if not edge.event and not state.is_durable:  # it falls back without a log entry
            walker.here = arrive(walker.flow, walker.here, edge.target)
            self.shared_bot.taken.add(edge)
            return
        name = edge.event or "expire"

        def is_seen() -> bool:
            return any(
                (move.by, move.target) == (name, edge.target) for move in walker.moves[moved:]
            )

        if not await self.shared_bot.transitions.until(is_seen, DOUBT_SECONDS):
            what = f"the time of {edge.source!r} was up, and {name!r} did not follow"
            errors = [
                e
                for event_id, e in self.shared_bot.transitions.failed.items()
                if event_id.endswith(tuple(walker.happened))  # expired:FLOW:$EVENT
            ]
            self.runner.fail(walker, ": ".join([what, *errors[:1]]))
        self.shared_bot.taken.add(edge)
        self.runner.follow(walker)

    async def _killed(self, walkers: Iterable[Walker]) -> None:
        """Kill and restart the bot, and check that the walkers' stored records are unchanged."""
        shared_bot = self.shared_bot
        for walker in walkers:
            walker.is_comparable &= not forgets(walker, shared_bot.flows)
        before = shared_bot.kept()
        await shared_bot.kill_and_restart()
        after = shared_bot.kept()
        changed = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
        for walker in walkers:
            edge = _restart(walker)
            shared_bot.taken.add(edge)
            walker.here = arrive(walker.flow, walker.here, edge.target)
            self._compare(walker, after)
            for key in changed:
                if _is_of(walker, key):
                    difference = f"{before.get(key)}\n  now: {after.get(key)}"
                    self.runner.fail(
                        walker, f"the restart changed the record {key}:\n  was: {difference}"
                    )

    def _compare(self, walker: Walker, kept: Mapping[str, str]) -> None:
        """Check that the walker's stored state is its last state in the log.

        States that a flow derives from a shared record are not checked.

        Args:
            walker: The walker.
            kept: All stored values, as JSON texts by key.
        """
        flow, here = walker.flow, walker.here.state
        if issubclass(flow, KeptAsRecord):
            return
        text = kept.get(flow_key(flow.name, ConversationKey(walker.key)))
        found = flow.idle_state.name if text is None else json.loads(text)["state"]
        if found != here:
            self.runner.fail(
                walker, f"the state is {here!r} in the log, but {found!r} in the database"
            )

    async def _last_kill(self) -> None:
        shared_bot = self.shared_bot
        await shared_bot.settle()
        walkers = [walker for walker in self.walkers if self._is_well(walker)]
        for walker in walkers:
            self.runner.follow(walker)
        earlier: dict[Walker, list[dict[str, Any]]] = {}

        async def look(walker: Walker) -> None:
            earlier[walker] = await walker.timeline()

        await each_of(self.walkers, look)
        states_before = {walker: walker.here.state for walker in walkers}
        await self._killed(walkers)
        afterwards = {
            walker: AfterRestart(self.runner, walker, states_before[walker]) for walker in walkers
        }
        await each_of(walkers, lambda walker: afterwards[walker].live_on())
        await shared_bot.settle()
        await each_of(walkers, lambda walker: afterwards[walker].look_back(earlier[walker]))
        for walker in self.walkers:
            timeline = afterwards[walker].timeline if walker in afterwards else earlier[walker]
            for step in self.runner.steps[walker]:
                shared_bot.comparison.add(walker, step, timeline)
        shared_bot.walked += len(walkers)
        set_aside = shared_bot.set_aside()
        for walker in self.walkers:
            for key, error in set_aside:
                if _is_of(walker, key):
                    walker.failure = ""  # other failures are consequences of that
                    self.runner.fail(walker, f"what was saved under {key} can't be read: {error}")


def _is_of(walker: Walker, key: str) -> bool:
    """Whether the record under this key belongs to the walker or to the walker's room."""
    return walker.person.user_id in key or bool(walker.room and walker.room in key)


def _restart(walker: Walker) -> Edge:
    return Edge(walker.here.state, walker.here.fallback, By.RESTART, label="restart")
