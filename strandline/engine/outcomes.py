"""Handles the outcomes of outbox rows: delivered, refused, or failed for good."""

from fsm import Inbound
from fsm.outbox import CreateRoomRow, InviteRow, OutboxRow, ReportedRow, ReportTo, StateRow
from fsm.values.ids import EventId, RoomId
from fsm.values.inbound import EffectDone, EffectRefused, RoomCreated, RoomFailed, as_class
from matrix import MEMBER, named_room
from strandline.engine.answering.publisher import AnswerPublisher
from strandline.engine.failures import FailureHandler
from strandline.engine.retrying_store import RetryingStore
from strandline.engine.turn_retry import try_turn
from strandline.engine.turn_runner import TurnRunner


class EffectOutcomes:
    """Deletes delivered rows, parks failed ones, and runs the turns that handle outcomes.

    Args:
        store: The store of the rows.
        publisher: Is told when the first message of an answer is delivered or has failed.
        runner: Runs the turns that handle outcomes.
        failures: Parks rows whose outcome can't be handled because the turn fails every time.
    """

    def __init__(
        self,
        store: RetryingStore,
        publisher: AnswerPublisher,
        runner: TurnRunner,
        failures: FailureHandler,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._runner = runner
        self._failures = failures

    async def delivered(self, row: OutboxRow, event_id: EventId | None) -> None:
        """Delete a delivered row, and tell the publisher.

        Args:
            row: The row.
            event_id: The event that the homeserver created for the row; None if it created none.
        """
        await self._store.mark_delivered(row, event_id)
        self._publisher.head_settled(row, event_id)

    async def reported(self, row: ReportedRow, room_id: RoomId | None, problem: str) -> None:
        """Run the turn that handles the outcome of a row. The turn's commit deletes the row.

        If every try of the turn fails, the row is parked.

        Args:
            row: The row.
            room_id: The room that was created or changed; None if the homeserver refused the
                request.
            problem: Why the homeserver refused the request; empty if it did not.
        """
        inbound = outcome_of(row, room_id, problem)

        async def take() -> None:
            await self._runner.take(inbound, deletes_row=row.transaction_id)

        failure = await try_turn(inbound.event_id, take)
        if failure is not None:
            await self._failures.park_row(row, failure)

    async def failed(self, row: OutboxRow, problem: str) -> None:
        """Park a row that can never be delivered, with the reason, and tell the publisher."""
        await self._store.park_row(row, problem)
        self._publisher.head_settled(row, None)


def outcome_of(row: ReportedRow, room_id: RoomId | None, problem: str) -> Inbound:
    """Return the inbound event that reports a row's outcome to flows.

    Args:
        row: The row.
        room_id: The room that was created or changed; None if the homeserver refused the request.
        problem: Why the homeserver refused the request; empty if it did not.
    """
    if isinstance(row, CreateRoomRow):
        return _made(row, room_id, problem)
    assert row.report_to is not None  # noqa: S101  # no other row is reported
    return _done(row, row.report_to, problem)


def _made(row: CreateRoomRow, room_id: RoomId | None, problem: str) -> Inbound:
    """Return the inbound event that says that the room was created, or that it was refused.

    It was refused if ``room_id`` is None.
    """
    room, event_id = row.room, EventId(row.transaction_id)
    if room_id is None:
        return RoomFailed(
            event_id=event_id,
            room_id=room.asked_in,
            sender=room.user_id,
            purpose=room.purpose,
            name=room.name,
            problem=problem,
        )
    return RoomCreated(
        event_id=event_id,
        room_id=room_id,
        sender=room.user_id,
        purpose=room.purpose,
        name=room.name,
        asked_in=room.asked_in,
    )


def _done(row: StateRow | InviteRow, asked: ReportTo, problem: str) -> Inbound:
    """Return the inbound event that says that a state event was set, or that a request was refused.

    The request, for a state event or an invite, was refused if ``problem`` is not empty.
    """
    event_type, content, invited = (
        (row.event_type, row.content, None)
        if isinstance(row, StateRow)
        else (MEMBER, {}, row.user_id)
    )
    done = EffectDone(
        event_id=EventId(row.transaction_id),
        room_id=asked.room_id,
        sender=asked.user_id,
        about=asked.about,
        event_type=event_type,
        target=row.room_id,
        content=content,
        room_name=named_room(event_type, content),
    )
    return as_class(EffectRefused, done, problem=problem, invited=invited) if problem else done
