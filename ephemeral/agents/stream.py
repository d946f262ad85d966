"""An agent's answer while it arrives.

Lost at a restart: what has arrived so far. That is fine: the question is asked again under the
same request id, and the message in the room that had begun to grow goes on growing.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import Any

from attrs import frozen

CLOSE_SECONDS = 5.0
"""So long an agent may take to end what it is doing, once nobody wants it."""


@frozen
class Placeholder:
    """What is shown until the first word arrives."""

    text: str


class AnswerStream:
    """Collects the pieces of an answer, and says now and then how far it has come.

    A fast agent sends many pieces a second, in many rooms: each costs no more than to be added.

    Attributes:
        text: All that has arrived.
    """

    def __init__(
        self,
        pieces: AsyncIterator[str | Placeholder],
        *,
        interval_seconds: float,
        within_seconds: float | None = None,
        until: asyncio.Future[Any] | None = None,
    ) -> None:
        self.text = ""
        self._meanwhile = ""
        self._is_shown = False
        self._due: float | None = None
        self._last: float | None = None
        self._wake = asyncio.Event()
        self._pieces = pieces
        self._interval = interval_seconds
        self._within = within_seconds
        self._until = until

    async def so_far(self) -> AsyncGenerator[str, None]:
        """The text so far, once an interval in which it grew, until the answer is complete.

        The first words are there after half an interval; an answer that is complete by then
        yields nothing. What the agent raises comes out of here. Once ``until`` is done, nothing
        more is read.

        Raises:
            TimeoutError: The answer was not complete ``within_seconds``.
        """
        loop = asyncio.get_running_loop()
        self._restart_clock()
        reading = asyncio.ensure_future(self._read())
        reading.add_done_callback(lambda _: self._wake.set())
        if self._until is not None:
            self._until.add_done_callback(lambda _: self._wake.set())
        try:
            while True:
                await self._woken(loop.time())
                if self._until is not None and self._until.done():
                    return
                if reading.done():
                    reading.result()
                    return
                now = loop.time()
                if self._last is not None and now >= self._last:
                    raise TimeoutError
                if self._due is not None and now >= self._due:
                    self._due, self._is_shown = None, bool(self.text)
                    if self.text or self._meanwhile:
                        yield self.text or self._meanwhile
        finally:
            reading.cancel()
            await asyncio.wait({reading}, timeout=CLOSE_SECONDS)  # an agent may have to be told

    def show_again(self) -> None:
        """What was given out last was not shown: give it out anew, after an interval."""
        if self._due is None:
            self._due = asyncio.get_running_loop().time() + self._interval

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        async for piece in self._pieces:
            if isinstance(piece, Placeholder):
                self._meanwhile = piece.text
                self._restart_clock()  # while others come first, no time is lost
                self._show_at(loop.time())
                continue
            self.text += piece
            if self._due is None:
                self._show_at(loop.time() + self._interval / (1 if self._is_shown else 2))

    def _show_at(self, due: float) -> None:
        self._due = due
        self._wake.set()

    def _restart_clock(self) -> None:
        if self._within is not None:
            self._last = asyncio.get_running_loop().time() + self._within

    async def _woken(self, now: float) -> None:
        """Wait until something is to be done."""
        soonest = min((at for at in (self._due, self._last) if at is not None), default=None)
        with suppress(TimeoutError):
            async with asyncio.timeout(None if soonest is None else max(0.0, soonest - now)):
                await self._wake.wait()
        self._wake.clear()
