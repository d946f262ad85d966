"""Handles inbound events: selects them, tries their turns, and parks them if every try fails."""

import structlog
from attrs import frozen

from fsm import EventKind, Inbound
from fsm.errors import StrandlineError
from fsm.values.inbound import UnsupportedMessage
from matrix import Receipts, Refused
from strandline.engine.answering.joining import Prepare, QuestionJoiner
from strandline.engine.event_filter import EventFilter
from strandline.engine.failures import FailureHandler
from strandline.engine.questions import PendingQuestions
from strandline.engine.turn_retry import Failure, try_turn
from strandline.engine.turn_runner import TurnRunner

_log = structlog.get_logger(__name__)


@frozen(kw_only=True)
class EventHandler:
    """Handles inbound events, each completely.

    No content of an event makes ``handle`` or ``handle_again`` raise.

    Args:
        event_filter: Decides which events are handled, and completes them.
        runner: Runs turns.
        questions: Asks agents the questions of turns, and publishes the answers.
        joiner: Lets messages join a question that is being answered.
        failures: Parks events that fail every time.
        receipts: Marks messages as read.
    """

    _event_filter: EventFilter
    _runner: TurnRunner
    _questions: PendingQuestions
    _joiner: QuestionJoiner
    _failures: FailureHandler
    _receipts: Receipts

    async def handle(self, inbound: Inbound) -> bool:
        """Handle a new event; return False if it was dropped.

        An event is dropped, for example, if it was handled before, if its sender may not talk to
        the bot, or if no flow can answer it.
        """
        return await self._handle(inbound, 0, self.prepare)

    async def handle_again(self, inbound: Inbound, attempt: int) -> bool:
        """Handle a reopened event; return False if it was dropped.

        An event is dropped if its sender may not talk to the bot any more, or if no flow can answer
        it.

        Args:
            inbound: The event, read again.
            attempt: How often the event was handled before.
        """
        if not self._event_filter.is_allowed(inbound):
            return False
        return await self._handle(inbound, attempt, self._event_filter.complete)

    async def prepare(self, inbound: Inbound) -> Inbound | None:
        """Return the event, completed with data from the homeserver; None if it is to be dropped.

        Before that, handle the events that must come first (see ``EventFilter.corrections``).
        """
        if not await self._event_filter.is_wanted(inbound):
            return None
        async for correction in self._event_filter.corrections(inbound):
            await self._run(correction, 0)
        return await self._event_filter.complete(inbound)

    async def _handle(self, inbound: Inbound, attempt: int, prepare: Prepare) -> bool:
        try:
            prepared = await prepare(inbound)
        except Exception as error:  # parked with its error, which `parked list` shows
            if isinstance(error, StrandlineError) and not isinstance(error, Refused):
                raise  # the store or the account is unusable: the bot ends, the event comes again
            _log.exception("an event can't be read", event_id=inbound.event_id)
            await self._failures.park_event(inbound, attempt, Failure(error, 1))
            return True
        if prepared is not None:
            await self._run(prepared, attempt)
        return prepared is not None

    async def _run(self, inbound: Inbound, attempt: int) -> None:
        """Try the event's turn; park the event if every try fails. Then mark a message as read."""
        await self._questions.restore_files(inbound.event_id)
        failure = await try_turn(inbound.event_id, lambda: self._take(inbound, attempt))
        if failure is not None:
            await self._failures.park_event(inbound, attempt, failure)
        self._questions.forget_files(inbound.event_id)
        _log.debug("turn done", event_id=inbound.event_id)
        if inbound.kind in (EventKind.TEXT, EventKind.FILE):
            self._receipts.mark_read(inbound.room_id, inbound.event_id)

    async def _take(self, inbound: Inbound, attempt: int) -> None:
        current = self._questions.current(inbound)
        if current is None:
            await self._questions.drop(inbound.event_id, inbound)
            return
        outcome = await self._runner.take(current, attempt)
        if isinstance(inbound, UnsupportedMessage) and outcome.rows:
            self._event_filter.note_explained(inbound)
        if outcome.question is not None:
            async with self._joiner.joining(outcome.question.room_id, self.prepare):
                await self._questions.answer(outcome.question, attempt)
        if inbound.kind is EventKind.REDACTED:
            await self._questions.drop_redacted(inbound)
        for reopened in outcome.reopened:
            await self._run(reopened.inbound, reopened.attempt)
