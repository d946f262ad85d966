"""An agent's answer while it arrives.

Lost at a restart: the text that has arrived so far. That is fine: the bot asks the question again
with the same request id, and edits the message that is already in the room.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

from attrs import frozen

CLOSE_TIMEOUT_SECONDS = 5.0
"""The maximum time for an agent to end its work after its answer was stopped."""


@frozen
class Placeholder:
    """A text that is shown until the answer's first text arrives.

    Each placeholder restarts the timeout of the answer.
    """

    text: str


class AnswerStream:
    """Collects the pieces of an answer, and shows the text so far at intervals.

    Each piece is only appended to the text, so an agent may send many pieces each second.

    Args:
        pieces: The texts of the answer, and placeholders.
        interval_seconds: The minimum time between two updates. The first update comes after half of
            this time.
        timeout_seconds: The maximum time to wait for the whole answer; None for no limit.
        until: A future; reading stops when the future is done. None to read to the end.

    Attributes:
        text: All text that has arrived so far.
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
        """Read the answer until its end or ``until``, and call ``update`` at intervals.

        The end of the answer causes no update: ``text`` is then the whole answer. Errors of the
        agent are raised.

        Args:
            update: Shows a text. It is called with the text so far, or with the placeholder's text
                if there is none yet. It returns whether it has shown the text. After False, it is
                called again after an interval, with the newest text.

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
            # the agent may need to be notified that its answer is not wanted
            await asyncio.wait({reading}, timeout=CLOSE_TIMEOUT_SECONDS)

    async def _is_over(self, reading: asyncio.Future[None]) -> bool:
        """Wait until an update or the timeout may be due, or until reading has ended.

        Returns:
            Whether the answer was read to its end, or ``until`` is done.
        """
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
        """Call ``update`` with the text if that is due; raise ``TimeoutError`` if time is up."""
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
