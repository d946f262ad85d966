"""An agent's answer while it arrives.

Lost at a restart: what has arrived so far. That is fine: the question is asked again under the
same request id, and the message in the room that had begun to grow goes on growing.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

from attrs import frozen

CLOSE_TIMEOUT_SECONDS = 5.0
"""How long an agent may take to end its work once its answer is not wanted any more."""


@frozen
class Placeholder:
    """What is shown until the first text arrives. It starts the time limit again."""

    text: str


class AnswerStream:
    """Collects the pieces of an answer, and shows at intervals how far it has come.

    A piece costs no more than to be added to the text, however many an agent sends in a second.

    Args:
        pieces: Texts and placeholders, in order.
        interval_seconds: The least time between two updates. The first one comes after half of it.
        timeout_seconds: Maximum time to wait for the whole answer; None for no limit.
        until: Once it is done, nothing more is read.

    Attributes:
        text: All text that has arrived.
    """

    def __init__(
        self,
        pieces: AsyncIterator[str | Placeholder],
        *,
        interval_seconds: float,
        timeout_seconds: float | None = None,
        until: asyncio.Future[Any] | None = None,
    ) -> None:
        self.text = ""
        self._placeholder = ""
        self._is_shown = False
        self._update_at: float | None = None
        self._deadline: float | None = None
        self._wake = asyncio.Event()
        self._pieces = pieces
        self._interval = interval_seconds
        self._timeout = timeout_seconds
        self._until = until

    async def show(self, update: Callable[[str], Awaitable[bool]]) -> None:
        """Read to the end of the answer, and call ``update`` with the text at each interval.

        An answer that is complete before the first interval is over causes no update. What the
        agent raises is raised here.

        Args:
            update: Shows a text; False if that is not possible yet: it is then called again, after
                an interval, with the text as it reads then.

        Raises:
            TimeoutError: The answer was not complete in time.
        """
        self._restart_timeout()
        reading = asyncio.ensure_future(self._read())
        reading.add_done_callback(lambda _: self._wake.set())
        if self._until is not None:
            self._until.add_done_callback(lambda _: self._wake.set())
        try:
            while not await self._is_over(reading):
                await self._update(update)
        finally:
            reading.cancel()
            # the agent may have to be told that its answer is not wanted
            await asyncio.wait({reading}, timeout=CLOSE_TIMEOUT_SECONDS)

    async def _is_over(self, reading: asyncio.Future[None]) -> bool:
        """Wait until something is to be done; whether nothing more is to be read."""
        now = asyncio.get_running_loop().time()
        soonest = min(
            (at for at in (self._update_at, self._deadline) if at is not None), default=None
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(None if soonest is None else max(0.0, soonest - now)):
                await self._wake.wait()
        self._wake.clear()
        if self._until is not None and self._until.done():
            return True
        if reading.done():
            reading.result()
            return True
        return False

    async def _update(self, update: Callable[[str], Awaitable[bool]]) -> None:
        """Show the text, if its time has come."""
        now = asyncio.get_running_loop().time()
        if self._deadline is not None and now >= self._deadline:
            raise TimeoutError
        if self._update_at is None or now < self._update_at:
            return
        self._update_at, self._is_shown = None, bool(self.text)
        shown = self.text or self._placeholder
        if shown and not await update(shown) and self._update_at is None:
            self._update_at = asyncio.get_running_loop().time() + self._interval

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        async for piece in self._pieces:
            if isinstance(piece, Placeholder):
                self._placeholder = piece.text
                self._restart_timeout()  # the time in the agent's queue does not count
                self._schedule(loop.time())
                continue
            self.text += piece
            if self._update_at is None:
                self._schedule(loop.time() + self._interval / (1 if self._is_shown else 2))

    def _schedule(self, at: float) -> None:
        self._update_at = at
        self._wake.set()

    def _restart_timeout(self) -> None:
        if self._timeout is not None:
            self._deadline = asyncio.get_running_loop().time() + self._timeout
