"""Parks events and outbox rows that fail every time, and tells users about failures."""

from durable.flows.language import language_code, language_key
from durable.records import FlowRecord
from durable.store import Commit
from fsm import Inbound, Translator
from fsm.effects import ATTEMPT_ORDINALS, Reply
from fsm.failpoints import reach
from fsm.outbox import OutboxRow
from fsm.values.ids import EventId, UserId
from matrix import Delivery
from strandline.engine.deadlines import DueDeadline
from strandline.engine.outbox import OutboxBuilder
from strandline.engine.retrying_store import RetryingStore
from strandline.engine.turn_retry import Failure
from strandline.flows.languages import translator_for


class Translators:
    """Finds the translator for a user's language.

    Args:
        store: The store of the languages that users have chosen.
        language: The code of the language for users who have chosen none.
    """

    def __init__(self, store: RetryingStore, language: str) -> None:
        self._store = store
        self._language = language

    async def of(self, user_id: UserId) -> Translator:
        """The translator for the user's language."""
        stored = await self._store.read(FlowRecord, language_key(user_id))
        return translator_for(language_code(stored.value), default=self._language)


class FailureHandler:
    """Parks events and outbox rows that fail every time, so that they don't block their rooms.

    Args:
        store: The store of parked events and rows.
        delivery: Sends the notices to users.
        builder: Makes outbox rows of the notices.
        translators: Finds the translator for the language of a notice.
    """

    def __init__(
        self,
        store: RetryingStore,
        delivery: Delivery,
        builder: OutboxBuilder,
        translators: Translators,
    ) -> None:
        self._store = store
        self._delivery = delivery
        self._builder = builder
        self._translators = translators

    async def park_event(self, inbound: Inbound, attempt: int, failure: Failure) -> None:
        """Park the event, which then counts as handled, and tell its sender in the room.

        Args:
            inbound: The event.
            attempt: How often the event was handled before.
            failure: Why the event's turn failed.
        """
        translator = await self._translators.of(inbound.sender)
        notice = Reply(
            room_id=inbound.room_id,
            text=translator.gettext(
                "I couldn't process this message because of an error on my side. It is saved "
                "for the operator; please continue without it."
            ),
            in_reply_to=inbound.event_id,
        )
        last = ATTEMPT_ORDINALS - 1
        rows = self._builder.reply(notice, inbound.event_id, attempt=attempt, index=last)
        problem = failure.problem
        reach("park.before")
        stored = await self._store.park_event(
            inbound.event_id,
            inbound.room_id,
            problem=problem,
            attempts=failure.tries,
            outbox=tuple(rows),
        )
        reach("park.after")
        self._delivery.submit(stored)

    async def park_row(self, row: OutboxRow, failure: Failure) -> None:
        """Park an outbox row whose outcome could not be handled.

        Args:
            row: The row.
            failure: Why the turn that handles the row's outcome failed.
        """
        await self._store.park_row(row, failure.problem)

    async def report_deadline(self, due: DueDeadline) -> None:
        """Tell the user that a deadline has failed, and that it is tried again later.

        The message is sent to the deadline's room.
        """
        translator = await self._translators.of(due.deadline.sender)
        notice = Reply(
            room_id=due.deadline.room_id,
            text=translator.gettext(
                "A scheduled step in this room failed on my side. I'll try again later."
            ),
        )
        event_id = EventId(f"failed:{due.flow}:{due.key}:{due.deadline.at_ms}")
        rows = tuple(self._builder.reply(notice, event_id))
        self._delivery.submit(await self._store.commit(Commit(outbox=rows)))
