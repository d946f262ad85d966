"""The store: what the bot has promised, on disk before anybody is told."""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from logging import getLogger
from pathlib import Path
from secrets import token_hex
from typing import Self, TypeVar

from durable.records import Deadline, FlowRecord
from durable.store.codec import from_json
from durable.store.errors import CorruptValue, StoreClosed
from durable.store.sqlite import queries
from durable.store.sqlite import transaction as parking
from durable.store.sqlite.database import Connect, Database, open_database, translated
from durable.store.sqlite.queries import HANDLED_KEPT
from durable.store.sqlite.transaction import apply, read_value
from durable.store.sqlite.writer import Writer
from durable.store.transaction import (
    Behind,
    Commit,
    Parked,
    Progress,
    QuestionFiles,
    Reopened,
    Stored,
    Stream,
)
from fsm.failpoints import reach
from fsm.outbox import OutboxRow
from fsm.values.ids import EventId, RoomId, SyncToken, UserId

R = TypeVar("R")
T = TypeVar("T")

_log = getLogger(__name__)


class Store:
    """The database file, as async questions and commits.

    Reads have a thread and a connection of their own; each sees every commit that was
    acknowledged before it.
    """

    def __init__(
        self, connections: Database, reading: ThreadPoolExecutor, now: Callable[[], datetime]
    ) -> None:
        self._writer = Writer(connections.writer, connections.file)
        self._reader = connections.reader
        self._reading = reading
        self._now = now
        self._is_open = True
        self._is_running = False

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        now: Callable[[], datetime],
        connect: Connect = sqlite3.connect,
        is_synced: bool = True,
    ) -> Self:
        """Open the database, or make it, and bring its schema up to date.

        Args:
            path: The file.
            now: The wall clock.
            connect: Makes a connection; tests of full disks have one that fails.
            is_synced: Each commit is forced to the disk. Only a test's own database may do without.

        Raises:
            StoreError: It can't be opened; the file is as it was.
        """
        reading = ThreadPoolExecutor(1, "strandline-reader")
        opening = reading.submit(open_database, path, connect, is_synced=is_synced)
        try:
            connections = await asyncio.wrap_future(opening)
        except BaseException:  # cancelled, perhaps, while the thread goes on opening
            opening.add_done_callback(_close_unused)
            reading.shutdown(wait=False)
            raise
        return cls(connections, reading, now)

    async def close(self) -> None:
        """Finish the commits that wait, then close the file. May be called again."""
        self.begin_close()
        await self._writer.stopped()

    def begin_close(self) -> None:
        """The same without waiting for it, where the event loop may be gone already."""
        if self._is_open:
            self._is_open = False
            reading_ends = self._reading.submit(self._reader.close)
            self._reading.shutdown(wait=False)
            farewell = queries.stopped_at(self._now_ms()) if self._is_running else None
            self._writer.stop(reading_ends, farewell)

    async def mark_started(self) -> None:
        """Note that a bot's life begins; ``close`` notes its orderly end."""
        await self._write(queries.started_at(self._now_ms()))
        self._is_running = True

    async def read(self, cls: type[R], key: str) -> Stored[R]:
        """The record under the key. A corrupt one is set aside, and reads as absent."""
        text = await self._query(lambda db: read_value(db, key))
        if text is None:
            return Stored(None, None)
        try:
            return Stored(from_json(cls, text), text)
        except CorruptValue as error:
            await self.set_aside(key, text, str(error))
        return await self.read(cls, key)

    async def read_text(self, key: str) -> str | None:
        """What is stored under the key, whatever it holds."""
        return await self._query(lambda db: read_value(db, key))

    async def read_texts(self, prefix: str) -> dict[str, str]:
        """What is stored under each key that begins with ``prefix``, whatever it holds."""

        def ask(db: sqlite3.Connection) -> dict[str, str]:
            found = {key: read_value(db, key) for key in queries.keys_under(prefix)(db)}
            return {key: text for key, text in found.items() if text is not None}

        return await self._query(ask)

    async def set_aside(self, key: str, text: str, error: str) -> None:
        """Move a value that can't be used to the quarantine, if it is still there."""
        _log.warning("%s: %s", key, error)
        await self._write(queries.quarantine(key, text, error, self._now_ms()))

    async def read_all(self, cls: type[R], prefix: str) -> dict[str, Stored[R]]:
        """The records whose keys begin with ``prefix``. Corrupt ones are set aside, left out."""
        return await self._read_each(cls, await self._query(queries.keys_under(prefix)))

    async def read_rooms(self, cls: type[R], owner: UserId) -> dict[str, Stored[R]]:
        """The records of one user's rooms, by their keys; corrupt ones as in ``read_all``."""
        return await self._read_each(cls, await self._query(queries.rooms_of(owner)))

    async def due(
        self, flows: Collection[str], *, besides: Collection[str] = ()
    ) -> dict[str, Deadline]:
        """The conversations of these flows whose time in a durable state is up, by their keys.

        Those whose keys are in ``besides`` are left out; and of very many, the later ones.
        """
        keys = await self._query(queries.due(flows, self._now_ms(), besides))
        found = await self._read_each(FlowRecord, keys)
        return {
            key: stored.value.deadline
            for key, stored in found.items()
            if stored.value is not None and stored.value.deadline is not None
        }

    async def commit(self, commit: Commit) -> tuple[OutboxRow, ...]:
        """Write all that a turn changes; its outbox rows as they are stored.

        Raises:
            Conflict: A key changed since it was read. Nothing was written.
            AlreadyHandled: The event was handled before. Nothing was written.
            StoreUnavailable: The disk did not take it. Nothing was written.
        """
        now_ms = self._now_ms()
        return await self._write(lambda db: apply(db, commit, now_ms))

    async def is_handled(self, event_id: EventId) -> bool:
        """Whether the event needs no handling any more."""
        return event_id in await self.handled_among((event_id,))

    async def handled_among(self, event_ids: Collection[EventId]) -> frozenset[EventId]:
        """Those of the events that need no handling any more."""
        return await self._query(queries.handled_among(event_ids))

    async def delivered(self, row: OutboxRow, event_id: EventId | None) -> None:
        """Forget a row that the homeserver has acknowledged.

        Args:
            row: The row.
            event_id: What it became; the head of the answer that it began, if it did.
        """
        reach("outbox.delete.before")
        await self._write(queries.delivered(row, event_id))
        reach("outbox.delete.after")

    async def park_row(self, row: OutboxRow, error: str) -> None:
        """Set aside a row that can never succeed, so that its room goes on."""
        reach("outbox.park.before")
        await self._write(queries.park_row(row, error))
        reach("outbox.park.after")

    async def owed(self) -> tuple[OutboxRow, ...]:
        """What the homeserver has not acknowledged, in order, without what is set aside."""
        return await self._query(queries.owed)

    async def stream(self, event_id: EventId) -> Stream | None:
        """The answer to the event, if it has begun to show."""
        return await self._query(queries.stream(event_id))

    async def reopened(self) -> tuple[Reopened, ...]:
        """The events that are to be handled again, the oldest first."""
        return await self._query(queries.reopened)

    async def asked(self) -> dict[EventId, QuestionFiles]:
        """The questions with files whose answers are not complete."""
        return await self._query(queries.asked)

    async def secret(self) -> str:
        """A random text, the same for the life of the database, that nobody else knows."""
        return await self._write(queries.secret(token_hex(16)))

    async def checkpoint(self) -> SyncToken | None:
        """The newest sync token below which everything is handled."""
        return await self._query(queries.checkpoint)

    async def advance(self, progress: Progress) -> None:
        """Move the checkpoint, and forget handled events that lie far below it.

        Only events that are named as passed are ever forgotten: of each room's, all but the newest
        ``HANDLED_KEPT``, whatever has been handled above the checkpoint.
        """
        reach("checkpoint.before")
        await self._write(queries.advance(progress, keep=HANDLED_KEPT))
        reach("checkpoint.after")

    async def behind(self) -> dict[RoomId, Behind]:
        """The rooms that are behind the checkpoint, and from where each is to be read."""
        return await self._query(queries.behind)

    async def is_joined(self, room_id: RoomId) -> bool:
        """Whether the bot was in the room at the checkpoint."""
        return await self._query(queries.is_joined(room_id))

    async def park_event(
        self,
        event_id: EventId,
        room_id: RoomId,
        *,
        error: str,
        attempts: int,
        outbox: Sequence[OutboxRow] = (),
    ) -> tuple[OutboxRow, ...]:
        """Set aside an event that fails every time, as handled; the notices as stored."""
        park = parking.Parking(
            event_id=event_id, room_id=room_id, error=error, attempts=attempts, outbox=outbox
        )
        now_ms = self._now_ms()
        reach("event.park.before")
        rows = await self._write(lambda db: park(db, now_ms))
        reach("event.park.after")
        return rows

    async def parked(self) -> tuple[Parked, ...]:
        """The events that are set aside, the oldest first."""
        return await self._query(parking.parked)

    async def retry_parked(self, event_id: EventId) -> bool:
        """Have a parked event handled again; whether there was one."""
        return await self._write(lambda db: parking.retry(db, event_id))

    async def drop_parked(self, event_id: EventId) -> bool:
        """Give a parked event up; whether there was one."""
        return await self._write(lambda db: parking.drop(db, event_id))

    async def highest_issued(self) -> int:
        """The highest platform chat number that a room has or that was ever issued, or 0."""
        return await self._query(queries.highest_issued)

    async def query(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Ask the reading connection; for the parts of ``durable/`` that have questions."""
        return await self._query(question)

    async def _read_each(self, cls: type[R], keys: Iterable[str]) -> dict[str, Stored[R]]:
        found = {key: await self.read(cls, key) for key in keys}
        return {key: stored for key, stored in found.items() if stored.value is not None}

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._writer.run(work)

    async def _query(self, question: Callable[[sqlite3.Connection], T]) -> T:
        if not self._is_open:
            raise StoreClosed

        def ask() -> T:
            with translated():
                return question(self._reader)

        return await asyncio.wrap_future(self._reading.submit(ask))

    def _now_ms(self) -> int:
        return int(self._now().timestamp() * 1000)


def _close_unused(opening: Future[Database]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().reader.close()
        opening.result().writer.close()
