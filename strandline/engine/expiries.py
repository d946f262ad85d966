"""Runs the turns of expired states."""

from ephemeral.conversations import ExpiringState
from strandline.engine.deadlines import Deadlines, DueDeadline
from strandline.engine.failures import FailureHandler
from strandline.engine.turn_retry import try_turn
from strandline.engine.turn_runner import TurnRunner


class Expiries:
    """Runs a turn for each expired state. No content of a state makes the methods raise.

    Args:
        runner: Runs turns.
        deadlines: Is told whether the turn of a deadline has committed or failed.
        failures: Tells users about deadlines whose turn fails every time.
    """

    def __init__(self, runner: TurnRunner, deadlines: Deadlines, failures: FailureHandler) -> None:
        self._runner = runner
        self._deadlines = deadlines
        self._failures = failures

    async def expire(self, lapsed: ExpiringState) -> None:
        """Run the turn of an expired ephemeral state.

        If every try fails, the errors are logged, and the expiry is dropped.
        """
        await try_turn(lapsed.event_id, lambda: self._runner.expire(lapsed))

    async def fall_due(self, due: DueDeadline) -> None:
        """Run the turn of a passed deadline.

        If every try fails, tell the user; the deadline is tried again later.
        """
        failure = await try_turn(due.event_id, lambda: self._runner.fall_due(due))
        if failure is None:
            self._deadlines.settle(due)
            return
        self._deadlines.postpone(due)
        await self._failures.report_deadline(due)
