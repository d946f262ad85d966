"""Takes the walkers' steps, and observes the result of each."""

from attrs import define, field

from fsm.kept_record import KeptAsRecord
from fsm.paths import By, Edge, Position, Walk, arrive
from strandline.testing.errors import KitError, NotSeen
from strandline.testing.walking.shared_bot import SharedBot
from strandline.testing.walking.steps import Step, is_meant
from strandline.testing.walking.walker import PATIENCE_SECONDS, Cause, Walker

DOUBT_SECONDS = 10.0
"""The timeout for a result that may rightly never come."""

PASSING_SECONDS = 3.0
"""The timeout for a transition that no walker causes, because the flow continues by itself."""


@define(eq=False)
class StepRunner:
    """Takes the steps of one group of walkers.

    Args:
        shared_bot: The bot, and what all groups have found out.
        steps: The steps that each walker has tried so far.
    """

    shared_bot: SharedBot
    steps: dict[Walker, list[Step]] = field(factory=dict)
    _turns: dict[Edge, int] = field(factory=dict)

    async def take(self, walker: Walker, edge: Edge, before: Walk) -> Step:
        """Do what causes the step, and return the step with what followed.

        If the walker can't do that, the reason is set as the walker's ``turned_off``.

        Args:
            walker: The walker.
            edge: The planned step.
            before: The walk up to this step.
        """
        turn = self._turns[edge] = self._turns.get(edge, -1) + 1
        sent, moved, key = len(walker.happened), len(walker.moves), walker.key
        sent_last = sent
        is_comparable = walker.is_comparable and walker.here.state == edge.source
        try:
            for cause in self.shared_bot.causes.of(edge, turn):
                sent_last = len(walker.happened)
                await self.do(walker, cause)
        except NotSeen as error:
            walker.turned_off = error.what
        except KitError as error:
            walker.turned_off = f"it can't be done: {error}"
        if walker.turned_off:
            self.shared_bot.dead_ends.setdefault(before.then(edge), walker.turned_off)

        if walker.key != key:  # the walker changed rooms, and thereby conversations
            moved = walker.seen = 0
            walker.here = Position(walker.walk.idle, walker.walk.idle)

        def is_seen() -> bool:
            """Whether the planned transition is in the log, and its turn has ended.

            All transitions of that turn are then in the log.
            """
            meant = [move for move in walker.moves[moved:] if is_meant(move, edge)]
            return any(move.event_id in self.shared_bot.transitions.handled for move in meant)

        is_prompt = self.shared_bot.causes.is_prompt(edge) and len(walker.happened) > sent_last
        if not is_prompt and not walker.turned_off:
            await self.shared_bot.transitions.until(is_seen, DOUBT_SECONDS)
        caused, moves = walker.happened[sent:], walker.moves[moved:]
        step = Step(edge, before, caused, moves, is_comparable)
        self.steps.setdefault(walker, []).append(step)
        self.follow(walker)
        return step

    async def comes_to(self, walker: Walker, state: str) -> None:
        """Wait until the walker's conversation is in ``state``, where the next step begins.

        Some flows get there by themselves, without an action of the walker. Returns after
        ``PASSING_SECONDS`` in any case.
        """
        self.follow(walker)
        if walker.here.state != state and not issubclass(walker.flow, KeptAsRecord):

            def is_there() -> bool:
                return bool(walker.moves) and walker.moves[-1].target == state

            await self.shared_bot.transitions.until(is_there, PASSING_SECONDS)
            self.follow(walker)

    async def do(self, walker: Walker, cause: Cause) -> None:
        """Carry out an action of the walker, and wait until the bot has handled its events.

        If the bot does not handle them in time, or a handler raises an error, the walker fails.

        Raises:
            NotSeen: The bot is no longer in the walker's room.
            KitError: The action can't be carried out.
        """
        sent = len(walker.happened)
        if isinstance(cause, str):
            await walker.says(cause)
        else:
            await cause(walker)
        new = set(walker.happened[sent:])
        transitions = self.shared_bot.transitions
        if not await transitions.until(lambda: new <= transitions.handled, DOUBT_SECONDS):
            if not await walker.is_with_bot():
                raise NotSeen("the bot is no longer in the room")
            if not await transitions.until(lambda: new <= transitions.handled, PATIENCE_SECONDS):
                self.fail(walker, f"the bot never got done with what {_told(cause)} caused")
        for event_id in new & transitions.failed.keys():
            self.fail(walker, f"{_told(cause)} made a handler raise {transitions.failed[event_id]}")

    def follow(self, walker: Walker) -> None:
        """Update the walker's position with the transitions that are new in the log.

        The walker fails if a transition does not begin in the state of the walker's position. Flows
        whose state is derived from a shared record are not checked.
        """
        for move in walker.moves[walker.seen :]:
            is_told_by_steps = not issubclass(walker.flow, KeptAsRecord)
            if move.source != walker.here.state and walker.seen and is_told_by_steps:
                self.fail(walker, f"it was in {walker.here.state!r}, but the log has {move}")
            walker.here = arrive(walker.flow, walker.here, move.target)
            event = walker.flow.events.get(move.by)
            is_by_time = move.event_id.startswith("expired:")
            if event is not None and not (event.on_expiry and is_by_time):
                self.shared_bot.taken.add(Edge(move.source, move.target, By.EVENT, move.by))
            state = walker.flow.states[move.target]
            walker.is_comparable &= bool(state.initial or state.is_durable)
            walker.seen += 1

    def fail(self, walker: Walker, what: str) -> None:
        """Record the problem ``what`` as the walker's failure, unless there is one already."""
        if not walker.failure:
            what = what.replace(walker.room or "\0", "ROOM").replace(walker.person.user_id, "USER")
            walker.failure = what
            self.shared_bot.failures.append((walker, what))


def _told(cause: Cause) -> str:
    if isinstance(cause, str):
        return f"“{cause}”"
    return str(getattr(cause, "__name__", "what was done")).replace("_", " ")
