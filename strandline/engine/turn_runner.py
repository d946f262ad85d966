"""Runs turns, and delivers their outbox rows as soon as they are committed."""

from attrs import frozen

from ephemeral.conversations import ExpiringState
from fsm import Inbound
from fsm.values.ids import TransactionId
from matrix import Delivery
from strandline.engine.deadlines import DueDeadline
from strandline.engine.turns import Outcome, Turns


@frozen
class TurnRunner:
    """Runs turns, and submits the rows of each to the delivery after its commit.

    Args:
        turns: Runs the turns.
        delivery: Delivers the rows.
    """

    turns: Turns
    delivery: Delivery

    async def take(
        self, inbound: Inbound, attempt: int = 0, *, deletes_row: TransactionId | None = None
    ) -> Outcome:
        """Handle an event in a turn, and submit the turn's rows. Arguments as in ``Turns.take``."""
        return self._submitted(await self.turns.take(inbound, attempt, deletes_row=deletes_row))

    async def expire(self, lapsed: ExpiringState) -> None:
        """Handle the expiry of an ephemeral state."""
        self._submitted(await self.turns.expire(lapsed))

    async def fall_due(self, due: DueDeadline) -> None:
        """Handle the deadline of a durable state."""
        self._submitted(await self.turns.fall_due(due))

    def _submitted(self, outcome: Outcome) -> Outcome:
        self.delivery.submit(outcome.rows)
        return outcome
