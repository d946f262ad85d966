"""A cohort: many walkers and one bot, which is killed under all of them at once."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from attrs import define, field

from durable.view import StoreView
from fsm import Flow
from fsm.ids import EventId
from fsm.walks import By, Edge, Position, Walk, arrive, edges_from, position
from strandline.testing.bot import BotProcess
from strandline.testing.errors import KitError, NotSeen
from strandline.testing.homeserver import Synapse
from strandline.testing.walking.causes import Causes
from strandline.testing.walking.journal import Journal, Move
from strandline.testing.walking.steps import Comparison, Step, forgets
from strandline.testing.walking.walker import PATIENCE_SECONDS, Cause, Walker

AT_ONCE = 8
"""So many walkers walk at the same time."""

DOUBT_SECONDS = 5.0
"""How long a walker waits for what may come or not."""

SETTLE_SECONDS = 10.0

HELP = "help"
PLAIN = "Is anybody there?"


@define(eq=False)
class Ground:
    """What all cohorts of one flow share.

    Attributes:
        caused: The steps that somebody has taken.
        dead_ends: The walks whose last step did not come about, and what came instead.
        failures: The walkers who saw what must not be, and what it was.
        kills: How often the bot was killed.
    """

    flow: type[Flow]
    synapse: Synapse
    bot: BotProcess
    journal: Journal
    causes: Causes
    flows: Mapping[str, type[Flow]]
    comparison: Comparison = field(factory=Comparison)
    caused: set[Edge] = field(factory=set)
    dead_ends: dict[Walk, str] = field(factory=dict)
    failures: list[tuple[Walker, str]] = field(factory=list)
    kills: int = 0
    walked: int = 0

    async def kill_and_restart(self) -> None:
        """SIGKILL, and a new life with the same data."""
        await self.bot.kill()
        self.kills += 1
        await self.bot.start()

    def kept(self) -> dict[str, str]:
        """All records, as another program finds them in the database."""
        return dict(StoreView(self.bot.database).rows("SELECT key, value FROM kv"))

    def set_aside(self) -> list[tuple[str, str]]:
        """The records that the bot could not read, and why."""
        rows = StoreView(self.bot.database).rows("SELECT key, error FROM quarantine")
        return [(key, error) for key, error in rows]

    async def settle(self) -> None:
        """Wait until the bot owes nobody anything and nothing moves any more."""
        statement = "SELECT count(*) FROM outbox WHERE parked_error IS NULL"
        end = asyncio.get_running_loop().time() + SETTLE_SECONDS
        before: object = None
        while asyncio.get_running_loop().time() < end:
            self.journal.read()
            owed = StoreView(self.bot.database).rows(statement)
            now = (self.journal.count, self.kept())
            if owed == [(0,)] and now == before:
                return
            before = now
            await asyncio.sleep(0.1)


def cohorts(walks: Iterable[Walk]) -> list[tuple[tuple[Edge, ...], list[Walk]]]:
    """The walks that can be walked side by side, with the restarts and ends of time they share.

    A walk may join one whose restarts and ends of time end like its own: it begins later.
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
class Cohort:
    """Walkers who meet at each restart and each end of time."""

    ground: Ground
    shared: Sequence[Edge]
    walks: Sequence[Walk]
    first: Sequence[Cause] = ()
    walkers: list[Walker] = field(factory=list)
    _steps: dict[Walker, list[Step]] = field(factory=dict)
    _turns: dict[Edge, int] = field(factory=dict)

    async def go(self) -> None:
        """Walk, kill, restart, look."""
        try:
            for stage in range(len(self.shared) + 1):
                begins = [w for w in self.walks if self._begin(w) == stage]
                await self._each(begins, self._arrive)
                under_way = [w for w in self._under_way(stage) if self._begin(w.walk) < stage]
                await self._each(under_way, partial(self._stretch, stage=stage))
                if stage < len(self.shared):
                    await self._together(stage)
            await self._last_kill()
        finally:
            for walker in self.walkers:
                await walker.close()

    async def _arrive(self, walk: Walk) -> None:
        """Have somebody new begin a walk, unless it is known to lead nowhere."""
        ground = self.ground
        if any(beginning in ground.dead_ends for beginning in walk.prefixes()):
            return
        walker = await Walker.arrive(
            ground.synapse, ground.journal, ground.flow, walk, bot=ground.bot
        )
        self.walkers.append(walker)
        self._steps[walker] = []
        for cause in self.first:
            await self._do(walker, cause)
        walker.seen = len(walker.moves)
        await self._stretch(walker, stage=self._begin(walk))

    def _under_way(self, stage: int) -> list[Walker]:
        return [w for w in self.walkers if stage >= self._begin(w.walk) and self._is_well(w)]

    def _is_well(self, walker: Walker) -> bool:
        return not walker.turned_off and not walker.failure

    def _begin(self, walk: Walk) -> int:
        """The stage at which the walk begins: it shares the last of what is shared."""
        return len(self.shared) - len(walk.globals)

    async def _stretch(self, walker: Walker, *, stage: int) -> None:
        """The steps that are the walker's own, up to the next that is everybody's."""
        begin = self._begin(walker.walk)
        edges = walker.walk.edges
        borders = [-1, *(n for n, edge in enumerate(edges) if edge.is_global), len(edges)]
        for number in range(borders[stage - begin] + 1, borders[stage - begin + 1]):
            await self._step(walker, number)
            if not self._is_well(walker):
                return

    async def _step(self, walker: Walker, number: int) -> None:
        edge, before = walker.walk.edges[number], Walk(walker.walk.idle, walker.walk.edges[:number])
        if before.then(edge) in self.ground.dead_ends:
            walker.turned_off = self.ground.dead_ends[before.then(edge)]
            return
        step = await self._take(walker, edge, before)
        if self._is_well(walker) and not any(_is_meant(move, edge) for move in step.moves):
            walker.turned_off = self._explained(step)
            self.ground.dead_ends.setdefault(before.then(edge), walker.turned_off)

    async def _take(self, walker: Walker, edge: Edge, before: Walk) -> Step:
        """Do what causes the step, and see what comes of it."""
        turn = self._turns[edge] = self._turns.get(edge, -1) + 1
        sent, moved, key = len(walker.happened), len(walker.moves), walker.key
        try:
            for cause in self.ground.causes.of(edge, turn):
                await self._do(walker, cause)
        except NotSeen as error:
            walker.turned_off = error.what
        except KitError as error:
            walker.turned_off = f"it can't be done: {error}"
        if walker.turned_off:
            self.ground.dead_ends.setdefault(before.then(edge), walker.turned_off)

        if walker.key != key:  # in another room it is another conversation
            moved = walker.seen = 0
            walker.here = Position(walker.walk.idle, walker.walk.idle)

        def is_seen() -> bool:
            return any(_is_meant(move, edge) for move in walker.moves[moved:])

        is_prompt = self.ground.causes.is_prompt(edge) and len(walker.happened) > sent
        if not is_prompt and not walker.turned_off:
            await self.ground.journal.until(is_seen, DOUBT_SECONDS)
        step = Step(
            edge, before, walker.happened[sent:], walker.moves[moved:], walker.is_comparable
        )
        self._steps[walker].append(step)
        self._follow(walker)
        return step

    async def _do(self, walker: Walker, cause: Cause) -> None:
        """Do something, and wait until the bot has handled it."""
        sent = len(walker.happened)
        if isinstance(cause, str):
            await walker.says(cause)
        else:
            await cause(walker)
        new = set(walker.happened[sent:])
        journal = self.ground.journal
        if not await journal.until(lambda: new <= journal.handled, DOUBT_SECONDS):
            if not await walker.is_with_bot():
                raise NotSeen("the bot is no longer in the room")
            if not await journal.until(lambda: new <= journal.handled, PATIENCE_SECONDS):
                self._fail(walker, f"the bot never got done with what {_told(cause)} caused")
        for event_id in new & journal.failed.keys():
            self._fail(walker, f"{_told(cause)} made a handler raise {journal.failed[event_id]}")

    def _follow(self, walker: Walker) -> None:
        """Take the steps that the log has of the conversation."""
        for move in walker.moves[walker.seen :]:
            is_told_by_steps = walker.flow.kept_as is None  # else by a record that others write
            if move.source != walker.here.state and walker.seen and is_told_by_steps:
                self._fail(
                    walker, f"it stood in {walker.here.state!r}, and then the log has {move}"
                )
            walker.here = arrive(walker.flow, walker.here, move.target)
            event = walker.flow.events.get(move.by)
            if event is not None and not event.expiry:
                self.ground.caused.add(Edge(move.source, move.target, By.EVENT, move.by))
            state = walker.flow.states[move.target]
            walker.is_comparable &= bool(state.initial or state.is_durable)
            walker.seen += 1

    def _explained(self, step: Step) -> str:
        told = ", ".join(map(str, step.moves)) or "no step of this flow"
        return f"what was done led to {told}"

    async def _together(self, stage: int) -> None:
        """What happens to the whole process."""
        ground, walkers = self.ground, self._under_way(stage)
        if self.shared[stage].by is By.RESTART:
            await ground.settle()
            for walker in walkers:
                self._follow(walker)
            await self._killed(walkers)
            return
        lasts = self.shared[stage].lasts or timedelta()
        moved = {walker: len(walker.moves) for walker in walkers}
        await ground.bot.advance(lasts + timedelta(seconds=1))
        await self._each(walkers, lambda w: self._time_is_up(w, stage, moved[w]))

    async def _time_is_up(self, walker: Walker, stage: int, moved: int) -> None:
        edge = [e for e in walker.walk.edges if e.is_global][stage - self._begin(walker.walk)]
        state = walker.flow.states[edge.source]
        if not edge.event and not state.is_durable:  # it falls back, and nobody says so
            walker.here = arrive(walker.flow, walker.here, edge.target)
            self.ground.caused.add(edge)
            return
        name = edge.event or "expire"

        def is_seen() -> bool:
            return any(
                (move.by, move.target) == (name, edge.target) for move in walker.moves[moved:]
            )

        if not await self.ground.journal.until(is_seen, DOUBT_SECONDS):
            what = f"the time of {edge.source!r} was up, and {name!r} did not follow"
            errors = [
                e
                for event_id, e in self.ground.journal.failed.items()
                if event_id in walker.happened
            ]
            self._fail(walker, ": ".join([what, *errors[:1]]))
        self.ground.caused.add(edge)
        self._follow(walker)

    async def _killed(self, walkers: Iterable[Walker]) -> None:
        """Kill the bot and start it again; what was on disk must be there still."""
        ground = self.ground
        for walker in walkers:
            walker.is_comparable &= not forgets(walker, ground.flows)
        before = ground.kept()
        await ground.kill_and_restart()
        after = ground.kept()
        changed = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
        for walker in walkers:
            edge = _restart(walker)
            ground.caused.add(edge)
            walker.here = arrive(walker.flow, walker.here, edge.target)
            for key in changed:
                if _is_of(walker, key):
                    told = f"{before.get(key)}\n  now: {after.get(key)}"
                    self._fail(walker, f"the restart changed the record {key}:\n  was: {told}")

    async def _last_kill(self) -> None:
        ground = self.ground
        await ground.settle()
        walkers = [walker for walker in self.walkers if self._is_well(walker)]
        for walker in walkers:
            self._follow(walker)
        earlier: dict[Walker, list[dict[str, Any]]] = {}

        async def look(walker: Walker) -> None:
            earlier[walker] = await walker.timeline()

        await self._each(self.walkers, look)
        stood = {walker: walker.here.state for walker in walkers}
        await self._killed(walkers)
        afterwards = {walker: Afterwards(self, walker, stood[walker]) for walker in walkers}
        await self._each(walkers, lambda walker: afterwards[walker].live_on())
        await ground.settle()
        await self._each(walkers, lambda walker: afterwards[walker].look_back(earlier[walker]))
        for walker in self.walkers:
            timeline = afterwards[walker].timeline if walker in afterwards else earlier[walker]
            for step in self._steps[walker]:
                ground.comparison.add(walker, step, timeline)
        ground.walked += len(walkers)
        for walker in self.walkers:
            for key, error in ground.set_aside():
                if _is_of(walker, key):
                    walker.failure = ""  # whatever else was seen comes from that
                    self._fail(walker, f"what was saved under {key} can't be read: {error}")

    def _fail(self, walker: Walker, what: str) -> None:
        if not walker.failure:
            what = what.replace(walker.room or "\0", "ROOM").replace(walker.person.user_id, "USER")
            walker.failure = what
            self.ground.failures.append((walker, what))

    async def _each(self, whom: Iterable[Any], do: Callable[[Any], Awaitable[None]]) -> None:
        """Do it for each of them, some at a time."""
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


@define(eq=False)
class Afterwards:
    """The life of one walker after the last kill: nothing is lost, doubled or blocked."""

    cohort: Cohort
    walker: Walker
    stood: str
    timeline: list[dict[str, Any]] = field(factory=list)
    _help: EventId | None = None
    _plain: EventId | None = None
    _is_moved: bool = False

    async def live_on(self) -> None:
        """Answer what is forgotten, use a command, write, and take a further step."""
        walker, cohort = self.walker, self.cohort
        is_with_bot = walker.room is None or await walker.is_with_bot()
        if is_with_bot:
            await self._use_what_is_gone()
            probe = self._probe()
            if probe is not None and probe.source == probe.target:
                await self._go_on(probe)
                probe = None
        else:
            probe = None
            self._leave_the_room()
        if walker.failure:
            return
        self._help = await self._say(self.cohort.ground.causes.prefix + HELP)
        await walker.hears_all()
        moved = len(walker.moves)
        self._plain = await self._say(PLAIN)
        new = walker.moves[moved:]
        self._is_moved = any(move.source != move.target for move in new)
        cohort._follow(walker)  # noqa: SLF001  # the cohort's own other half
        if probe is not None and not new and not walker.failure:
            await self._go_on(probe)

    async def look_back(self, earlier: Sequence[Mapping[str, Any]]) -> None:
        """Read the room once more."""
        walker = self.walker
        self.timeline = await walker.timeline()
        if walker.failure:
            return
        replies = _replies(self.timeline, walker)
        for event_id, count in _replies(earlier, walker).items():
            if replies.get(event_id, 0) > count:
                self._fail(f"the restart answered {event_id} again")
        if self._help and not replies.get(self._help):
            self._fail("after the restart, nobody answers the command for help")
        if self._plain and not self._is_moved and not self._is_answered(self._plain):
            self._fail(
                f"after the restart, in {self.walker.here.state!r}, a plain message is met "
                f"with silence: “{PLAIN}”"
            )

    def _leave_the_room(self) -> None:
        """The bot is not in it: whatever comes next comes in another."""
        walker, key = self.walker, self.walker.key
        walker.room = None
        if walker.key != key:
            walker.seen, walker.here = 0, Position(walker.walk.idle, walker.walk.idle)

    async def _use_what_is_gone(self) -> None:
        """Do what only the forgotten state answers: the flow must not answer it from there."""
        walker = self.walker
        if self.stood == walker.here.state:
            return
        causes = self.cohort.ground.causes
        gone = [
            edge
            for edge in edges_from(walker.flow, position(walker.flow, walker.walk), causes.plan)
            if edge.by is By.EVENT
            and causes.is_prompt(edge)
            and edge.transition in self.cohort.ground.caused
            and walker.flow.states[walker.here.state] not in walker.flow.events[edge.event].sources
        ]
        for cause in causes.of(gone[0], 0)[-1:] if gone else ():
            if isinstance(cause, str):
                await self._say(cause)
                self.cohort._follow(walker)  # noqa: SLF001

    def _probe(self) -> Edge | None:
        """A step that others have taken from here; best one that leads nowhere else."""
        ground, walker = self.cohort.ground, self.walker
        plan = ground.causes.plan
        edges = [
            edge
            for edge in edges_from(walker.flow, walker.here, plan)
            if edge.by is By.EVENT
            and edge.transition in ground.caused
            and ground.causes.is_prompt(edge)
        ]
        edges.sort(key=lambda edge: (edge.source != edge.target, self._is_guarded(edge)))
        return edges[0] if edges else None

    def _is_guarded(self, edge: Edge) -> bool:
        return self.walker.flow.events[edge.event].guard is not None

    async def _go_on(self, edge: Edge) -> None:
        walker = self.walker
        before = walker.walk.then(_restart_of(walker, self.stood))
        step = await self.cohort._take(walker, edge, before)  # noqa: SLF001
        is_done, walker.turned_off = not walker.turned_off, ""
        is_lost = is_done and not step.moves and not self._is_guarded(edge)
        if is_lost and not walker.failure:
            self._fail(
                f"after the restart, {walker.flow.__name__} in {edge.source!r} no longer answers "
                f"what causes {edge.event!r}"
            )

    async def _say(self, text: str) -> EventId:
        await self.cohort._do(self.walker, text)  # noqa: SLF001
        return self.walker.happened[-1]

    def _is_answered(self, event_id: EventId) -> bool:
        """The bot did anything at all in the room after it."""
        ids = [event["event_id"] for event in self.timeline]
        later = self.timeline[ids.index(event_id) + 1 :] if event_id in ids else []
        return any(event.get("sender") == self.walker.bot for event in later)

    def _fail(self, what: str) -> None:
        self.cohort._fail(self.walker, what)  # noqa: SLF001


def _is_meant(move: Move, edge: Edge) -> bool:
    return (move.by, move.source, move.target) == (edge.event, edge.source, edge.target)


def _is_of(walker: Walker, key: str) -> bool:
    """The record belongs to the walker, or to the walker's room."""
    return walker.person.user_id in key or bool(walker.room and walker.room in key)


def _restart(walker: Walker) -> Edge:
    return Edge(walker.here.state, walker.here.fallback, By.RESTART, label="restart")


def _restart_of(walker: Walker, stood: str) -> Edge:
    return Edge(stood, position(walker.flow, walker.walk).fallback, By.RESTART, label="restart")


def _replies(timeline: Iterable[Mapping[str, Any]], walker: Walker) -> dict[EventId, int]:
    """How often the bot has answered each of the walker's events."""
    counts: dict[EventId, int] = {}
    for event in timeline:
        relation = event.get("content", {}).get("m.relates_to", {})
        about = relation.get("m.in_reply_to", {}).get("event_id")
        if event.get("sender") == walker.bot and about in walker.happened:
            counts[about] = counts.get(about, 0) + 1
    return counts


def _told(cause: Cause) -> str:
    return f"“{cause}”" if isinstance(cause, str) else re.sub(r"_", " ", cause.__name__)
