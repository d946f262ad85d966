"""The implementation of the store in one SQLite file."""

import sqlite3
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from logging import getLogger
from pathlib import Path
from secrets import token_hex
from typing import Self, TypeVar

from durable.records import Deadline, FlowRecord
from durable.restart_report import RestartReport
from durable.store.codec import dump, from_json, load
from durable.store.contract import Store
from durable.store.errors import CorruptValue
from durable.store.sqlite.checkpoint import SqliteCheckpoint
from durable.store.sqlite.database import Connect
from durable.store.sqlite.executor import Executor
from durable.store.sqlite.meta import highest_issued, read_meta, write_meta
from durable.store.sqlite.outbox import SqliteOutbox
from durable.store.sqlite.parking import SqliteParking
from durable.store.sqlite.restart import report_on
from durable.store.sqlite.transaction import apply, read_value
from durable.store.values import Commit, QuestionFiles, Reopened, Stored, UnfinishedAnswer
from fsm.outbox import OutboxRow
from fsm.values.ids import AgentId, EventId, RoomId, UserId

R = TypeVar("R")

_log = getLogger(__name__)

HIGHEST_CHARACTER = "\U0010ffff"
"""The highest Unicode character: a prefix with it added is the upper limit of keys to search."""

MAX_DUE = 1_000
"""Maximum deadlines that ``due`` returns. After a long downtime, a million may have passed."""


class SqliteStore(Store):
    """Stores everything in one SQLite file. ``open`` creates an instance.

    Args:
        executor: Runs the SQL statements.
        now: Called without arguments; returns the current time of the wall clock.
        max_due: Maximum conversations that ``due`` returns.
    """

    def __init__(
        self, executor: Executor, *, now: Callable[[], datetime], max_due: int = MAX_DUE
    ) -> None:
        self._executor = executor
        self._now = now
        self._max_due = max_due
        self._is_running = False
        self.outbox = SqliteOutbox(executor)
        self.parking = SqliteParking(executor, self._now_ms)
        self.checkpoint = SqliteCheckpoint(executor)

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        now: Callable[[], datetime],
        connect: Connect = sqlite3.connect,
        is_synced: bool = True,
        max_due: int = MAX_DUE,
    ) -> Self:
        """Open or create the database, update its schema, and return the store.

        Args:
            path: The database file.
            now: Called without arguments; returns the current time of the wall clock.
            connect: Called as ``sqlite3.connect``; returns a connection. Tests of full disks pass a
                connection that fails.
            is_synced: Whether each commit is fsynced. False only for databases of tests.
            max_due: Maximum conversations that ``due`` returns.

        Raises:
            StoreError: The database can't be opened.
        """
        executor = await Executor.open(path, connect, is_synced=is_synced)
        return cls(executor, now=now, max_due=max_due)

    async def close(self) -> None:
        self.begin_close()
        await self._executor.closed()

    def begin_close(self) -> None:
        """Begin to close the store, and return at once.

        A thread completes the queued writes and closes the file. The event loop need not run any
        more.
        """
        stopped_at = str(self._now_ms())

        def mark_stopped(db: sqlite3.Connection) -> None:
            write_meta(db, "stopped_at_ms", stopped_at)

        self._executor.begin_close(mark_stopped if self._is_running else None)

    async def mark_started(self) -> None:
        started_at = str(self._now_ms())

        def write(db: sqlite3.Connection) -> None:
            write_meta(db, "started_at_ms", started_at)
            db.execute("DELETE FROM meta WHERE name = 'stopped_at_ms'")

        await self._executor.write(write)
        self._is_running = True

    async def restart_report(self, known_agents: Collection[AgentId]) -> RestartReport:
        return await self._executor.read(lambda db: report_on(db, known_agents))

    async def read(self, cls: type[R], key: str) -> Stored[R]:
        text = await self.read_text(key)
        if text is None:
            return Stored(None, None)
        try:
            return Stored(from_json(cls, text), text)
        except CorruptValue as error:
            await self.set_aside(key, text, str(error))
        return await self.read(cls, key)

    async def read_text(self, key: str) -> str | None:
        return await self._executor.read(lambda db: read_value(db, key))

    async def read_texts(self, prefix: str) -> dict[str, str]:
        found = await self._executor.select(
            "SELECT key, CAST(value AS BLOB) FROM kv WHERE key >= ? AND key < ? ORDER BY key",
            prefix,
            prefix + HIGHEST_CHARACTER,
        )
        return {key: value.decode("utf-8", "surrogateescape") for key, value in found}

    async def read_all(self, cls: type[R], prefix: str) -> dict[str, Stored[R]]:
        found = await self._executor.select(
            "SELECT key FROM kv WHERE key >= ? AND key < ? ORDER BY key",
            prefix,
            prefix + HIGHEST_CHARACTER,
        )
        return await self._read_each(cls, (key for (key,) in found))

    async def read_rooms(self, cls: type[R], owner: UserId) -> dict[str, Stored[R]]:
        found = await self._executor.select(
            "SELECT key FROM owned_room WHERE owner = ? ORDER BY key", owner
        )
        return await self._read_each(cls, (key for (key,) in found))

    async def set_aside(self, key: str, text: str, error: str) -> None:
        _log.warning("%s: %s", key, error)
        on_disk = text.encode("utf-8", "surrogateescape")
        at_ms = self._now_ms()

        def write(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO quarantine (key, value, error, at_ms)"
                " SELECT key, value, ?, ? FROM kv WHERE key = ? AND CAST(value AS BLOB) = ?",
                (error, at_ms, key, on_disk),
            )
            db.execute("DELETE FROM kv WHERE key = ? AND CAST(value AS BLOB) = ?", (key, on_disk))

        await self._executor.write(write)

    async def due(
        self, flows: Collection[str], *, exclude: Collection[str] = ()
    ) -> dict[str, Deadline]:
        found = await self._executor.select(
            "SELECT key FROM flow_deadline WHERE at_ms <= ?"
            " AND substr(key, 6, instr(substr(key, 6), ':') - 1)"
            " IN (SELECT value FROM json_each(?))"
            " AND key NOT IN (SELECT value FROM json_each(?))"
            " ORDER BY at_ms LIMIT ?",
            self._now_ms(),
            dump(sorted(flows)),
            dump(sorted(exclude)),
            self._max_due,
        )
        records = await self._read_each(FlowRecord, (key for (key,) in found))
        return {
            key: stored.value.deadline
            for key, stored in records.items()
            if stored.value is not None and stored.value.deadline is not None
        }

    async def commit(self, commit: Commit) -> tuple[OutboxRow, ...]:
        now_ms = self._now_ms()
        return await self._executor.write(lambda db: apply(db, commit, now_ms))

    async def handled_among(self, event_ids: Collection[EventId]) -> frozenset[EventId]:
        found = await self._executor.select(
            "WITH asked AS (SELECT value FROM json_each(?))"
            " SELECT event_id FROM handled WHERE event_id IN asked"
            " UNION SELECT event_id FROM reopened WHERE event_id IN asked",
            dump(list(event_ids)),
        )
        return frozenset(EventId(event_id) for (event_id,) in found)

    async def reopened(self) -> tuple[Reopened, ...]:
        found = await self._executor.select(
            "SELECT event_id, room_id, ordinal FROM reopened ORDER BY position"
        )
        return tuple(
            Reopened(EventId(event_id), RoomId(room_id), ordinal)
            for event_id, room_id, ordinal in found
        )

    async def stream(self, event_id: EventId) -> UnfinishedAnswer | None:
        found = await self._executor.select(
            "SELECT event_id, room_id, head_event_id FROM stream WHERE event_id = ?", event_id
        )
        return UnfinishedAnswer(*found[0]) if found else None

    async def question_files(self) -> dict[EventId, QuestionFiles]:
        found = await self._executor.select("SELECT event_id, room_id, files FROM asked")
        return {
            event_id: QuestionFiles(event_id=event_id, room_id=room_id, files=tuple(load(files)))
            for event_id, room_id, files in found
        }

    async def secret(self) -> str:
        fresh = token_hex(16)

        def write(db: sqlite3.Connection) -> str:
            db.execute("INSERT OR IGNORE INTO meta (name, value) VALUES ('secret', ?)", (fresh,))
            return read_meta(db, "secret") or fresh

        return await self._executor.write(write)

    async def highest_issued(self) -> int:
        return await self._executor.read(highest_issued)

    async def _read_each(self, cls: type[R], keys: Iterable[str]) -> dict[str, Stored[R]]:
        found = {key: await self.read(cls, key) for key in keys}
        return {key: stored for key, stored in found.items() if stored.value is not None}

    def _now_ms(self) -> int:
        return int(self._now().timestamp() * 1000)
