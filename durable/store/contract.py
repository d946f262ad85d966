"""The interface of a store, by which the engine and the command line use it.

"Below a sync token" are the events of all sync responses up to that token.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import TypeVar

from durable.records import Deadline
from durable.restart_report import RestartReport
from durable.store.values import (
    Behind,
    Commit,
    Parked,
    Progress,
    QuestionFiles,
    Reopened,
    Stored,
    UnfinishedAnswer,
)
from fsm.outbox import OutboxRow
from fsm.values.ids import AgentId, EventId, RoomId, SyncToken, UserId

R = TypeVar("R")


class OutboxStore(ABC):
    """The outbox: stored requests that the homeserver has not acknowledged yet, each a row.

    The rows are in the order in which they were committed. ``Store.commit`` adds rows.
    """

    @abstractmethod
    async def pending_rows(self) -> tuple[OutboxRow, ...]:
        """The rows to deliver, oldest first; parked rows are not among them."""

    @abstractmethod
    async def mark_delivered(self, row: OutboxRow, event_id: EventId | None) -> None:
        """Delete a row that the homeserver has acknowledged.

        If the row is the first message of an answer, the same transaction stores the message's
        event id in the ``UnfinishedAnswer`` and in the pending rows that edit the message. A
        repeated call changes nothing.

        Args:
            row: The row.
            event_id: The id of the event that the request has created; None if it has created none.
        """

    @abstractmethod
    async def park_row(self, row: OutboxRow, error: str) -> None:
        """Park a row, so that it no longer blocks the later rows of its room.

        If the row is the first message of an answer, the answer counts as not begun.

        Args:
            row: The row.
            error: Why the request can't be carried out.
        """


class ParkingStore(ABC):
    """Parks events, and lists, retries and drops parked events and requests for the operator.

    An event or request is parked when it has failed every time.
    """

    @abstractmethod
    async def park_event(
        self,
        event_id: EventId,
        room_id: RoomId,
        *,
        error: str,
        attempts: int,
        outbox: Sequence[OutboxRow] = (),
    ) -> tuple[OutboxRow, ...]:
        """Park an event, which then counts as handled, and add rows to the outbox.

        This is one transaction. A repeated call, after a crash, updates the error,
        the attempts and the time of parking.

        Args:
            event_id: The event.
            room_id: The event's room.
            error: The error of the last attempt.
            attempts: How often the bot has tried to handle the event.
            outbox: Messages to the event's room about the failure.

        Returns:
            The rows of ``outbox`` as they are stored.
        """

    @abstractmethod
    async def list_parked(self) -> tuple[Parked, ...]:
        """All parked events, then requests, each oldest first."""

    @abstractmethod
    async def retry(self, event_id: EventId) -> bool:
        """Have the bot handle a parked event, or send a parked request, at its next start.

        The homeserver can't return an invite again. After a retry of an invite, the bot handles the
        next invite to the same room.

        Args:
            event_id: The event's id, or the request's transaction id.

        Returns:
            Whether the event or request was parked. If not, nothing is changed.
        """

    @abstractmethod
    async def drop(self, event_id: EventId) -> bool:
        """Delete a parked event, which is then never handled again, or a parked request.

        Args:
            event_id: The event's id, or the request's transaction id.

        Returns:
            Whether the event or request was parked. If not, nothing is changed.
        """


class CheckpointStore(ABC):
    """Stores up to which sync token events are handled, and which rooms are behind that token.

    A room is behind the token if it has events below the token that are not handled.
    """

    @abstractmethod
    async def token(self) -> SyncToken | None:
        """Return the checkpoint: the sync token from which syncing continues after a restart.

        All events below the token are handled, except those of the rooms in ``rooms_behind``. None
        if no token was saved yet.
        """

    @abstractmethod
    async def save(self, progress: Progress) -> None:
        """Save the progress in one transaction.

        The store keeps the ids of handled events so that the bot ignores them when they come again.
        ``save`` deletes the ids of old events that were reported in ``progress.completed``, now or
        earlier, and never those of other events.
        """

    @abstractmethod
    async def rooms_behind(self) -> dict[RoomId, Behind]:
        """Return the rooms that are behind the token, each with where reading must begin."""

    @abstractmethod
    async def is_joined(self, room_id: RoomId) -> bool:
        """Return whether the bot was in the room when the sync had reached the token."""


class Store(ABC):
    """The durable storage of a bot.

    ``tests/unit/durable/store/contract`` has the tests that every implementation must pass.

    Durability: a write that has returned is on disk and survives SIGKILL and power loss. A write
    that has raised has changed nothing. If the caller of a write is cancelled, the write happens
    completely or not at all.

    Atomicity: each call of a method that writes is one transaction, even if many calls run at the
    same time.

    Consistency: a read sees every write that had returned before the read began.

    Every method may raise these errors:

    - ``StoreUnavailable``: The disk can't be written or read now. Try again later.
    - ``DatabaseMoved``: The database file is no longer where it was opened. Stop the bot.
    - ``StoreDamaged``: The database is corrupt. Stop the bot.
    - ``StoreDefect``: The implementation has a bug, or another program has changed the schema.
    - ``StoreClosed``: ``close`` was called before.

    Attributes:
        outbox: The requests to the homeserver.
        parking: The parked events and requests.
        checkpoint: The sync token up to which events are handled.
    """

    outbox: OutboxStore
    parking: ParkingStore
    checkpoint: CheckpointStore

    @abstractmethod
    async def close(self) -> None:
        """Complete the writes that were begun, then close the store. May be called again."""

    @abstractmethod
    async def mark_started(self) -> None:
        """Record the time of the bot's start. ``close`` then records the time of the stop."""

    @abstractmethod
    async def restart_report(self, known_agents: Collection[AgentId]) -> RestartReport:
        """Return a report on the content of the store, from counts and indexes only.

        Args:
            known_agents: The agents in the config. Rooms and users that refer to other agents are
                in the report as orphaned.
        """

    @abstractmethod
    async def read(self, cls: type[R], key: str) -> Stored[R]:
        """Return the record under the key, and its text; both are None if there is no record.

        A value that can't be decoded as a ``cls`` is moved to the table ``quarantine``, and both
        are None.
        """

    @abstractmethod
    async def read_text(self, key: str) -> str | None:
        """Return the text under the key without decoding it as JSON; None if there is none.

        Bytes that are not UTF-8 become lone surrogates.
        """

    @abstractmethod
    async def read_texts(self, prefix: str) -> dict[str, str]:
        """Return the texts whose keys begin with ``prefix``, by full key, not decoded."""

    @abstractmethod
    async def read_all(self, cls: type[R], prefix: str) -> dict[str, Stored[R]]:
        """Return the records whose keys begin with ``prefix``, by full key.

        Values that can't be decoded as a ``cls`` are left out and moved to the table
        ``quarantine``.
        """

    @abstractmethod
    async def read_rooms(self, cls: type[R], owner: UserId) -> dict[str, Stored[R]]:
        """Return the room records whose ``matrix_user_id`` is ``owner``, by full key.

        Values that can't be decoded as a ``cls`` are left out and moved to the table
        ``quarantine``.
        """

    @abstractmethod
    async def set_aside(self, key: str, text: str, error: str) -> None:
        """Move an unusable value to the table ``quarantine``.

        Args:
            key: The value's key.
            text: The text that the caller has read. If another text is stored now, nothing is
                changed.
            error: Why the value can't be used; stored with the value, and logged.
        """

    @abstractmethod
    async def due(
        self, flows: Collection[str], *, exclude: Collection[str] = ()
    ) -> dict[str, Deadline]:
        """Return deadlines that have passed, earliest first.

        Args:
            flows: The names of the flows whose conversations count.
            exclude: Keys of flow records to leave out.

        Returns:
            The deadlines, by the key of the conversation's flow record. Their number is limited:
            call the method again after they are handled.
        """

    @abstractmethod
    async def commit(self, commit: Commit) -> tuple[OutboxRow, ...]:
        """Write everything that a turn changes, in one transaction.

        Each text in ``commit.expected`` is compared with the stored text, byte by byte.

        Returns:
            The rows of ``commit.outbox`` as they are stored. If a row with the same transaction id
            was stored before, the earlier row is returned; it is no longer parked.

        Raises:
            Conflict: A stored text differs from the expected one. Nothing was written.
            AlreadyHandled: An event of ``commit`` was handled before, or the row of
                ``commit.deletes_row`` does not exist. Nothing was written.
        """

    @abstractmethod
    async def handled_among(self, event_ids: Collection[EventId]) -> frozenset[EventId]:
        """Return those of the events that the bot must ignore when the homeserver sends them.

        These are the handled and the reopened events. The bot handles a reopened event again by
        itself.
        """

    async def is_handled(self, event_id: EventId) -> bool:
        """Return whether the bot must ignore the event when the homeserver sends it."""
        return event_id in await self.handled_among((event_id,))

    @abstractmethod
    async def reopened(self) -> tuple[Reopened, ...]:
        """The events to handle again, oldest first."""

    @abstractmethod
    async def stream(self, event_id: EventId) -> UnfinishedAnswer | None:
        """Return the unfinished answer to the event; None if it has not begun or is complete."""

    @abstractmethod
    async def question_files(self) -> dict[EventId, QuestionFiles]:
        """Return the unanswered questions that have files of other events, by the question's event.

        These are the questions of ``Commit.question_files`` until their events are handled.
        """

    @abstractmethod
    async def secret(self) -> str:
        """Return a random text, which is created at the first call and never changes."""

    @abstractmethod
    async def highest_issued(self) -> int:
        """The highest platform chat number that was ever issued or that a room has; 0 if none."""
