"""Checks on one walker after the kill that ends its walk."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import define, field

from fsm.paths import By, Edge, Position, edges_from, position
from fsm.values.ids import EventId
from strandline.testing.errors import KitError
from strandline.testing.walking.step_runner import StepRunner
from strandline.testing.walking.walker import Walker

HELP = "help"
PLAIN = "Is anybody there?"


@define(eq=False)
class AfterRestart:
    """Checks, after the last kill, that the walker's conversation has lost or repeated nothing.

    Also checks that the bot still answers the walker. A failed check is recorded as the walker's
    failure.

    Args:
        runner: Runs the walker's actions.
        walker: The walker.
        state_before: The state of the walker's conversation before the kill.
        timeline: All events of the room, oldest first; read by ``look_back``.
    """

    runner: StepRunner
    walker: Walker
    state_before: str
    timeline: list[dict[str, Any]] = field(factory=list)
    _help: EventId | None = None
    _plain: EventId | None = None
    _is_moved: bool = False

    async def live_on(self) -> None:
        """Let the walker go on after the restart, to find out whether the bot answers.

        If the restart lost a state, the walker first sends a text that only the lost state
        answers. Then the walker sends the command for help and a plain message. A further step of
        the flow, if some walker has taken one from the same position, is tried too.
        """
        try:
            await self._live_on()
        except KitError as error:
            self._fail(f"after the restart: {error}")

    async def _live_on(self) -> None:
        walker = self.walker
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
        self._help = await self._say(self.runner.shared_bot.causes.prefix + HELP)
        await walker.hears_all()
        moved = len(walker.moves)
        self._plain = await self._say(PLAIN)
        new = walker.moves[moved:]
        self._is_moved = any(move.source != move.target for move in new)
        self.runner.follow(walker)
        if probe is not None and not new and not walker.failure:
            await self._go_on(probe)

    async def look_back(self, earlier: Sequence[Mapping[str, Any]]) -> None:
        """Read the room again, and check the bot's messages in it.

        No earlier event may have more replies than before the kill. The bot must have answered the
        command for help that ``live_on`` sent, and the plain message unless that message changed
        the conversation's state.

        Args:
            earlier: All events of the room before the kill.
        """
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
        """Forget the walker's room, where the bot no longer is: the next action creates another."""
        walker, key = self.walker, self.walker.key
        walker.room = None
        if walker.key != key:
            walker.seen, walker.here = 0, Position(walker.walk.idle, walker.walk.idle)

    async def _use_what_is_gone(self) -> None:
        """Send a text that only the lost ephemeral state answers; the flow must not answer it.

        Does nothing if the restart lost no state, or if no such text is known.
        """
        walker = self.walker
        if self.state_before == walker.here.state:
            return
        causes = self.runner.shared_bot.causes
        gone = [
            edge
            for edge in edges_from(walker.flow, position(walker.flow, walker.walk), causes.plan)
            if edge.by is By.EVENT
            and causes.is_prompt(edge)
            and edge.transition in self.runner.shared_bot.taken
            and walker.flow.states[walker.here.state] not in walker.flow.events[edge.event].sources
        ]
        for cause in causes.of(gone[0], 0)[-1:] if gone else ():
            if isinstance(cause, str):
                await self._say(cause)
                self.runner.follow(walker)

    def _probe(self) -> Edge | None:
        """Return a step from the walker's position that some walker has taken already.

        A step without a change of state is preferred, then one without a guard.

        Returns:
            The step; None if no walker has taken one from here.
        """
        shared_bot, walker = self.runner.shared_bot, self.walker
        plan = shared_bot.causes.plan
        edges = [
            edge
            for edge in edges_from(walker.flow, walker.here, plan)
            if edge.by is By.EVENT
            and edge.transition in shared_bot.taken
            and shared_bot.causes.is_prompt(edge)
        ]
        edges.sort(key=lambda edge: (edge.source != edge.target, self._is_guarded(edge)))
        return edges[0] if edges else None

    def _is_guarded(self, edge: Edge) -> bool:
        return self.walker.flow.events[edge.event].condition is not None

    async def _go_on(self, edge: Edge) -> None:
        walker = self.walker
        before = walker.walk.then(_restart_of(walker, self.state_before))
        step = await self.runner.take(walker, edge, before)
        is_done, walker.turned_off = not walker.turned_off, ""
        is_lost = is_done and not step.moves and not self._is_guarded(edge)
        if is_lost and not walker.failure:
            self._fail(
                f"after the restart, {walker.flow.__name__} in {edge.source!r} no longer answers "
                f"what causes {edge.event!r}"
            )

    async def _say(self, text: str) -> EventId:
        await self.runner.do(self.walker, text)
        return self.walker.happened[-1]

    def _is_answered(self, event_id: EventId) -> bool:
        """Whether the bot has sent any event to the room after this one."""
        ids = [event["event_id"] for event in self.timeline]
        later = self.timeline[ids.index(event_id) + 1 :] if event_id in ids else []
        return any(event.get("sender") == self.walker.bot for event in later)

    def _fail(self, what: str) -> None:
        self.runner.fail(self.walker, what)


def _restart_of(walker: Walker, state_before: str) -> Edge:
    return Edge(
        state_before, position(walker.flow, walker.walk).fallback, By.RESTART, label="restart"
    )


def _replies(timeline: Iterable[Mapping[str, Any]], walker: Walker) -> dict[EventId, int]:
    """The number of the bot's replies to each of the walker's events that has a reply."""
    counts: dict[EventId, int] = {}
    for event in timeline:
        relation = event.get("content", {}).get("m.relates_to", {})
        about = relation.get("m.in_reply_to", {}).get("event_id")
        if event.get("sender") == walker.bot and about in walker.happened:
            counts[about] = counts.get(about, 0) + 1
    return counts
