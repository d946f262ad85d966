"""The thread that writes to the database.

All write jobs that wait in its queue are run in one transaction, so that they share one fsync.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from attrs import define

from durable.store.errors import StoreClosed, StoreError
from durable.store.sqlite.database import OpenFile, translate
from fsm.failpoints import reach

T = TypeVar("T")

MAX_GROUP = 256
"""Maximum jobs in one transaction.

More would save no more time, and the first job of a transaction must wait for the last.
"""


@define(eq=False)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        if self.future.done():  # its caller was cancelled; the work is done anyway
            return
        if self.error is not None:
            self.future.set_exception(self.error)
            self.future.exception()  # a caller that is just being cancelled never asks
        else:
            self.future.set_result(self.result)


class Writer:
    """Runs jobs on the writing connection in a thread, first in, first out.

    Each job has its own savepoint, so that only a failed job is rolled back. The result of a job is
    returned only when its transaction is on disk.

    Args:
        connection: The writing connection.
        file: The identity of the database file, which is checked before each transaction; None for
            no check.
    """

    def __init__(self, connection: sqlite3.Connection, file: OpenFile | None = None) -> None:
        self._connection = connection
        self._file = file
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._is_open = True
        self._after: Future[None] | None = None
        self._closed: asyncio.Future[None] = self._loop.create_future()
        # a daemon: an interpreter that ends without ``close`` is a crash, which the file survives
        self._thread = Thread(target=self._run, name="strandline-writer", daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Call ``work`` with the connection in a transaction, and return its result.

        The call returns when the transaction is on disk. If the caller is cancelled, the work is
        completed anyway.

        Raises:
            StoreClosed: ``stop`` was called before.
            StoreError: An error of SQLite, or the file was moved.
            Exception: Any exception of ``work``, which is then rolled back.
        """
        if not self._is_open:
            raise StoreClosed
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Job(work, future))
        return await future

    def stop(
        self, after: Future[None], last: Callable[[sqlite3.Connection], None] | None = None
    ) -> None:
        """Accept no more jobs, and return at once.

        The thread completes the queued jobs and runs ``last``. When ``after`` is done, it closes
        the connection.

        Args:
            after: A future that is done when the reading connection is closed. The last connection
                to close copies the WAL into the file.
            last: A last job; None for none.
        """
        self._is_open = False
        self._after = after
        if last is not None:
            self._queue.put(_Job(last, self._loop.create_future()))
        self._queue.put(None)

    async def stopped(self) -> None:
        """Wait until the connection is closed.

        If the caller is cancelled, ``CancelledError`` is raised only after that.
        """
        try:
            await asyncio.wait([self._closed])
        except asyncio.CancelledError:
            await asyncio.wait([self._closed])
            raise

    def _run(self) -> None:
        while group := self._next_group():
            self._do(group)
            self._tell(group)
        if self._after is not None:
            self._after.exception()  # waits: the last to close copies the WAL into the file
        with suppress(sqlite3.Error):  # nothing is left to write, so nothing is lost
            self._connection.close()
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._closed.set_result, None)

    def _next_group(self) -> list[_Job]:
        group: list[_Job] = []
        job = self._queue.get()
        while job is not None:
            group.append(job)
            if len(group) == MAX_GROUP:
                return group
            try:
                job = self._queue.get_nowait()
            except Empty:
                return group
        if group:
            self._queue.put(None)  # the end marker was behind the group: handle it next
        return group

    def _do(self, group: list[_Job]) -> None:
        try:
            self._commit(group)
        except Exception as error:  # noqa: BLE001  # every caller of the group sees it
            self._roll_back()
            for job in group:
                job.error = _ours(error)

    def _commit(self, group: list[_Job]) -> None:
        if self._file is not None:
            self._file.must_be_there()
        reach("commit.begin")
        self._connection.execute("BEGIN IMMEDIATE")
        for job in group:
            self._attempt(job)
        reach("commit.written")
        self._connection.execute("COMMIT")
        reach("commit.done")

    def _attempt(self, job: _Job) -> None:
        db = self._connection
        db.execute("SAVEPOINT job")
        try:
            job.result = job.work(db)
        except Exception as error:
            if not db.in_transaction:  # a full disk ends the transaction, not just the statement
                raise
            db.execute("ROLLBACK TO job")
            job.error = _ours(error)  # its caller sees it
        db.execute("RELEASE job")

    def _roll_back(self) -> None:
        # where rolling back fails too, SQLite has done it or does it at the next BEGIN
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _tell(self, group: list[_Job]) -> None:
        def settle() -> None:
            for job in group:
                job.settle()

        with suppress(RuntimeError):  # the event loop is closed, with all waiting callers
            self._loop.call_soon_threadsafe(settle)


def _ours(error: Exception) -> Exception:
    """Return the store's error for an error of SQLite; return any other error unchanged.

    The store's error is a new object for each caller, because raising an exception changes it.
    """
    if not isinstance(error, sqlite3.Error):
        return error
    ours: StoreError = translate(error)
    ours.__cause__ = error
    return ours
