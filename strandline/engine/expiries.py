"""The turns of expired states."""

from ephemeral.conversations import ExpiredState
from strandline.engine.deadlines import Deadlines, DueDeadline
from strandline.engine.failures import FailureHandler
from strandline.engine.turn_retry import try_turn
from strandline.engine.turn_runner import TurnRunner


class Expiries:
    """Runs the turn of each expired state. No content of a state makes it raise.

    Args:
        runner: Runs turns.
        deadlines: Is notified of handled deadlines.
        failures: Reports deadlines whose turn fails every time.
    """

    def __init__(self, runner: TurnRunner, deadlines: Deadlines, failures: FailureHandler) -> None:
        self._runner = runner
        self._deadlines = deadlines
        self._failures = failures

    async def expire(self, lapsed: ExpiredState) -> None:
        """Run the turn of an ephemeral state. One that fails every time is logged, and dropped."""
        await try_turn(lapsed.event_id, lambda: self._runner.expire(lapsed))

    async def fall_due(self, due: DueDeadline) -> None:
        """Run the turn of a durable state. One that fails every time is tried again later."""
        failure = await try_turn(due.event_id, lambda: self._runner.fall_due(due))
        if failure is None:
            self._deadlines.settle(due)
            return
        self._deadlines.postpone(due)
        await self._failures.report_deadline(due)
