"""Runs SQL statements outside the event loop: reads in one thread, writes in another."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar

from durable.store.errors import StoreClosed
from durable.store.sqlite.database import Connect, Database, open_database, translated
from durable.store.sqlite.writer import Writer

T = TypeVar("T")


class Executor:
    """Runs the store's SQL statements: reads on one connection, writes on another.

    Reads and writes don't block each other. A read sees every write that has returned before.

    Args:
        database: The open database.
        reading: A pool of one thread, for the reads.
    """

    def __init__(self, database: Database, reading: ThreadPoolExecutor) -> None:
        self._writer = Writer(database.writer, database.file)
        self._reader = database.reader
        self._reading = reading
        self._is_open = True

    @classmethod
    async def open(cls, path: Path, connect: Connect, *, is_synced: bool) -> Self:
        """Open or create the database, update its schema, and return an executor for it.

        Args:
            path: The database file.
            connect: Called as ``sqlite3.connect``; returns a connection.
            is_synced: Whether each commit is fsynced. False only for databases of tests.

        Raises:
            StoreError: The database can't be opened.
        """
        reading = ThreadPoolExecutor(1, "strandline-reader")
        opening = reading.submit(open_database, path, connect, is_synced=is_synced)
        try:
            database = await asyncio.wrap_future(opening)
        except BaseException:  # the caller may be cancelled while the thread still opens the file
            opening.add_done_callback(_close_unused)
            reading.shutdown(wait=False)
            raise
        return cls(database, reading)

    def begin_close(self, last: Callable[[sqlite3.Connection], None] | None) -> None:
        """Begin to close the database, and return at once.

        In the background, the queued writes are completed, then ``last`` is run, then the file is
        closed. A second call does nothing.

        Args:
            last: Called with the writing connection in a last transaction; None for no such call.
        """
        if self._is_open:
            self._is_open = False
            reading_ends = self._reading.submit(self._reader.close)
            self._reading.shutdown(wait=False)
            self._writer.stop(reading_ends, last)

    async def closed(self) -> None:
        """Wait until the file is closed. Call ``begin_close`` first."""
        await self._writer.stopped()

    async def select(self, statement: str, *bound: object) -> list[tuple[Any, ...]]:
        """Return the rows of one SQL query. ``bound`` are bound to its parameters."""
        return await self.read(lambda db: db.execute(statement, bound).fetchall())

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Call ``work`` with the reading connection, and return its result.

        Raises:
            StoreError: An error of SQLite, or the store is closed.
        """
        if not self._is_open:
            raise StoreClosed

        def translating() -> T:
            with translated():
                return work(self._reader)

        return await asyncio.wrap_future(self._reading.submit(translating))

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Call ``work`` with the writing connection in a transaction, and return its result.

        The call returns when the transaction is on disk.

        Raises:
            StoreError: An error of SQLite, or the store is closed.
        """
        return await self._writer.run(work)


def _close_unused(opening: Future[Database]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().reader.close()
        opening.result().writer.close()
