"""Runs statements off the event loop: reads in one thread, writes in another."""

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
    """Runs the store's statements, each on the connection that it needs.

    Reads and writes don't block each other; a read sees every write that has returned.
    """

    def __init__(self, database: Database, reading: ThreadPoolExecutor) -> None:
        self._writer = Writer(database.writer, database.file)
        self._reader = database.reader
        self._reading = reading
        self._is_open = True

    @classmethod
    async def open(cls, path: Path, connect: Connect, *, is_synced: bool) -> Self:
        """Open or create the database, and update its schema.

        Raises:
            StoreError: It can't be opened; the file is unchanged.
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
        """Finish the queued writes, then run ``last`` and close the file, without waiting for it.

        May be called again.
        """
        if self._is_open:
            self._is_open = False
            reading_ends = self._reading.submit(self._reader.close)
            self._reading.shutdown(wait=False)
            self._writer.stop(reading_ends, last)

    async def closed(self) -> None:
        """Wait until the file is closed."""
        await self._writer.stopped()

    async def select(self, statement: str, *bound: object) -> list[tuple[Any, ...]]:
        """The rows that one statement finds."""
        return await self.read(lambda db: db.execute(statement, bound).fetchall())

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run statements that only read."""
        if not self._is_open:
            raise StoreClosed

        def translating() -> T:
            with translated():
                return work(self._reader)

        return await asyncio.wrap_future(self._reading.submit(translating))

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run statements in a transaction; returns their result when it is on disk."""
        return await self._writer.run(work)


def _close_unused(opening: Future[Database]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().reader.close()
        opening.result().writer.close()
