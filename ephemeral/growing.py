"""An agent's answer while it arrives.

Lost at a restart: what has arrived so far. That is fine: the question is asked again under the
same request id, and the message in the room that had begun to grow goes on growing.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from attrs import frozen

CLOSE_SECONDS = 5.0
"""So long an agent may take to end what it is doing, once nobody wants it."""


@frozen
class Meanwhile:
    """What is shown until the first word arrives."""

    text: str


class Growing:
    """Collects the pieces of an answer, and says now and then how far it has come.

    Attributes:
        text: All that has arrived.
    """

    def __init__(
        self,
        pieces: AsyncIterator[str | Meanwhile],
        *,
        interval_seconds: float,
        within_seconds: float | None = None,
        until: asyncio.Future[Any] | None = None,
    ) -> None:
        self.text = ""
        self._meanwhile = ""
        self._is_shown = False
        self._due: float | None = None
        self._pieces = pieces
        self._interval = interval_seconds
        self._within = within_seconds
        self._until = {until} if until is not None else set()

    async def so_far(self) -> AsyncGenerator[str, None]:
        """The text so far, once an interval in which it grew, until the answer is complete.

        The first words are there after half an interval; an answer that is complete by then
        yields nothing. What the agent raises comes out of here. Once ``until`` is done, nothing
        more is read. Only the waiting for the agent has a time limit: whoever reads takes the time
        that it takes.

        Raises:
            TimeoutError: The answer was not complete ``within_seconds``.
        """
        loop = asyncio.get_running_loop()
        last = None if self._within is None else loop.time() + self._within
        piece = asyncio.ensure_future(anext(self._pieces, None))
        try:
            while True:
                soonest = min((at for at in (self._due, last) if at is not None), default=None)
                wait = None if soonest is None else max(0.0, soonest - loop.time())
                await asyncio.wait(
                    {piece} | self._until, timeout=wait, return_when=asyncio.FIRST_COMPLETED
                )
                if any(until.done() for until in self._until):
                    return
                if not piece.done() and last is not None and loop.time() >= last:
                    raise TimeoutError
                if not piece.done():
                    self._due, self._is_shown = None, bool(self.text)
                    if self.text or self._meanwhile:
                        yield self.text or self._meanwhile
                    continue
                arrived = piece.result()
                if arrived is None:
                    return
                now = self._add(arrived)
                if now and self._within is not None:  # while others come first, no time is lost
                    last = loop.time() + self._within
                wait = 0.0 if now else self._interval / (1 if self._is_shown else 2)
                self._due = loop.time() + wait if self._due is None else self._due
                piece = asyncio.ensure_future(anext(self._pieces, None))
        finally:
            piece.cancel()
            await asyncio.wait({piece}, timeout=CLOSE_SECONDS)  # an agent may have to be told

    def show_again(self) -> None:
        """What was given out last was not shown: give it out anew, after an interval."""
        if self._due is None:
            self._due = asyncio.get_running_loop().time() + self._interval

    def _add(self, arrived: str | Meanwhile) -> bool:
        """Take a piece; whether it is to be shown at once."""
        if isinstance(arrived, Meanwhile):
            self._meanwhile = arrived.text
            return True
        self.text += arrived
        return False
