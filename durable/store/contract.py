"""The contract of a store, for the engine and the command line."""

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
    """The requests that the homeserver has not acknowledged yet, in the order of their commits.

    ``Store.commit`` adds rows.
    """

    @abstractmethod
    async def pending_rows(self) -> tuple[OutboxRow, ...]:
        """The rows to deliver, oldest first; parked rows are not among them."""

    @abstractmethod
    async def mark_delivered(self, row: OutboxRow, event_id: EventId | None) -> None:
        """Delete a row that the homeserver has acknowledged.

        In the same transaction, if the row is the first message of an answer, that answer and its
        pending edits get the message's event id. Repeating the call changes nothing.

        Args:
            row: The row.
            event_id: The event that the homeserver made of it; None if it made none.
        """

    @abstractmethod
    async def park_row(self, row: OutboxRow, error: str) -> None:
        """Park a row with its error, so that it no longer blocks the other rows of its room.

        If it was the first message of an answer, the answer counts as not begun.
        """


class ParkingStore(ABC):
    """Parked events and requests: those that failed every time, stored for the operator."""

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
        """Park an event: it then counts as handled.

        One transaction. Parking it again, after a crash, updates error and attempts.

        Args:
            event_id: The event.
            room_id: Its room.
            error: What went wrong last.
            attempts: How often it was tried.
            outbox: Messages to its room about the failure.

        Returns:
            The rows of ``outbox`` as they are stored.
        """

    @abstractmethod
    async def list_parked(self) -> tuple[Parked, ...]:
        """All parked events, then requests, each oldest first."""

    @abstractmethod
    async def retry(self, event_id: EventId) -> bool:
        """Handle a parked event again, or send a parked request again, at the next start.

        An invite can't be read again from the homeserver: a retry lets the next invite count.

        Args:
            event_id: The event's id, or the request's transaction id.

        Returns:
            Whether it was parked.
        """

    @abstractmethod
    async def drop(self, event_id: EventId) -> bool:
        """Delete a parked event, which stays handled, or a parked request.

        Args:
            event_id: The event's id, or the request's transaction id.

        Returns:
            Whether it was parked.
        """


class CheckpointStore(ABC):
    """How far the sync was handled: a token, and the rooms that are behind it."""

    @abstractmethod
    async def token(self) -> SyncToken | None:
        """The newest sync token below which every event is handled, or None at a first start.

        The events of rooms in ``rooms_behind`` are the exception.
        """

    @abstractmethod
    async def save(self, progress: Progress) -> None:
        """Save the progress in one transaction.

        The ids of completed events far below the token are deleted then; those of other events
        never are.
        """

    @abstractmethod
    async def rooms_behind(self) -> dict[RoomId, Behind]:
        """The rooms that are behind the token, each with the token from which it must be read."""

    @abstractmethod
    async def is_joined(self, room_id: RoomId) -> bool:
        """Whether the bot was in the room at the token."""


class Store(ABC):
    """The durable storage of a bot. ``tests/unit/durable/store/contract`` tests every kind.

    Durability: a write that has returned is on disk and survives SIGKILL and power loss. A write
    that has raised has changed nothing. If its caller is cancelled, a write happens completely or
    not at all.

    Atomicity: each method that writes is one transaction, and each call of ``commit`` is too,
    however many calls run at once.

    Consistency: a read sees every write that returned before it began.

    Every method may raise: StoreUnavailable: The disk can't be written or read now; try again
    later. DatabaseMoved: The data is no longer where it was opened; stop. StoreDamaged: The data is
    corrupt as a whole; stop. StoreDefect: The implementation has a bug, or somebody has changed the
    data's schema. StoreClosed: ``close`` was called.
    """

    outbox: OutboxStore
    parking: ParkingStore
    checkpoint: CheckpointStore

    @abstractmethod
    async def close(self) -> None:
        """Finish the requested writes, then close. May be called again."""

    @abstractmethod
    async def mark_started(self) -> None:
        """Record a start of the bot; ``close`` then records a regular stop."""

    @abstractmethod
    async def restart_report(self, known_agents: Collection[AgentId]) -> RestartReport:
        """What a restart finds. Reads counts and indexes only, and changes nothing.

        Args:
            known_agents: The agents in the config; bindings to others are reported.
        """

    @abstractmethod
    async def read(self, cls: type[R], key: str) -> Stored[R]:
        """The record under the key; both fields are None if there is none.

        A value that is not of the class is set aside (see ``set_aside``) and reads as absent.
        """

    @abstractmethod
    async def read_text(self, key: str) -> str | None:
        """The text under the key, unchecked; None if there is none.

        Bytes that are not UTF-8 come as lone surrogates.
        """

    @abstractmethod
    async def read_texts(self, prefix: str) -> dict[str, str]:
        """The texts whose keys begin with ``prefix``, by key, unchecked."""

    @abstractmethod
    async def read_all(self, cls: type[R], prefix: str) -> dict[str, Stored[R]]:
        """The records whose keys begin with ``prefix``, by key, without corrupt ones."""

    @abstractmethod
    async def read_rooms(self, cls: type[R], owner: UserId) -> dict[str, Stored[R]]:
        """The rooms with this ``matrix_user_id``, by key, without corrupt ones."""

    @abstractmethod
    async def set_aside(self, key: str, text: str, error: str) -> None:
        """Move an unusable value to the quarantine, if it is still stored as ``text``."""

    @abstractmethod
    async def due(
        self, flows: Collection[str], *, exclude: Collection[str] = ()
    ) -> dict[str, Deadline]:
        """The conversations of these flows whose deadline has passed, by key, earliest first.

        Args:
            flows: The flows' names.
            exclude: Keys to leave out.

        Returns:
            A limited number; call again when those are handled.
        """

    @abstractmethod
    async def commit(self, commit: Commit) -> tuple[OutboxRow, ...]:
        """Write everything that a turn changes, in one transaction.

        Each key in ``commit.expected`` is compared with what is stored, byte by byte.

        Returns:
            The outbox rows as they are stored: a row with a transaction id that was there before
            is the earlier one, no longer parked.

        Raises:
            Conflict: A key is not as expected. Nothing was written.
            AlreadyHandled: The event was handled before, or the row of ``commit.deletes_row`` is
                gone. Nothing was written.
        """

    @abstractmethod
    async def handled_among(self, event_ids: Collection[EventId]) -> frozenset[EventId]:
        """Those of the events that are to be ignored when the homeserver sends them again.

        They are handled; or they are in ``reopened``, from where the bot takes them itself.
        """

    async def is_handled(self, event_id: EventId) -> bool:
        """Whether the event is to be ignored when the homeserver sends it again."""
        return event_id in await self.handled_among((event_id,))

    @abstractmethod
    async def reopened(self) -> tuple[Reopened, ...]:
        """The events to handle again, oldest first."""

    @abstractmethod
    async def stream(self, event_id: EventId) -> UnfinishedAnswer | None:
        """The progress of the answer to the event, if it has begun and is not complete."""

    @abstractmethod
    async def question_files(self) -> dict[EventId, QuestionFiles]:
        """The questions with files whose answers are not complete."""

    @abstractmethod
    async def secret(self) -> str:
        """A random text that is created once and never changes."""

    @abstractmethod
    async def highest_issued(self) -> int:
        """The highest platform chat number that was ever issued or that a room has; 0 if none."""
