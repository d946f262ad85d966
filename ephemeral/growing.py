"""An agent's answer while it arrives.

Lost at a restart: what has arrived so far. That is fine: the question is asked again under the
same request id, and the message in the room that had begun to grow goes on growing.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any


class Growing:
    """Collects the pieces of an answer, and says now and then how far it has come.

    Attributes:
        text: All that has arrived.
    """

    def __init__(
        self,
        pieces: AsyncIterator[str],
        *,
        interval_seconds: float,
        within_seconds: float | None = None,
        until: asyncio.Future[Any] | None = None,
    ) -> None:
        self.text = ""
        self._pieces = pieces
        self._interval = interval_seconds
        self._within = within_seconds
        self._until = {until} if until is not None else set()

    async def so_far(self) -> AsyncGenerator[str, None]:
        """The text so far, once an interval in which it grew, until the answer is complete.

        An answer that is complete within one interval of its first piece yields nothing. What
        the agent raises comes out of here. Once ``until`` is done, nothing more is read. Only the
        waiting for the agent has a time limit: whoever reads takes the time that it takes.

        Raises:
            TimeoutError: The answer was not complete ``within_seconds``.
        """
        due: float | None = None
        loop = asyncio.get_running_loop()
        last = None if self._within is None else loop.time() + self._within
        piece = asyncio.ensure_future(anext(self._pieces, None))
        try:
            while True:
                soonest = min((at for at in (due, last) if at is not None), default=None)
                wait = None if soonest is None else max(0.0, soonest - loop.time())
                await asyncio.wait(
                    {piece} | self._until, timeout=wait, return_when=asyncio.FIRST_COMPLETED
                )
                if any(until.done() for until in self._until):
                    return
                if not piece.done() and last is not None and loop.time() >= last:
                    raise TimeoutError
                if not piece.done():
                    due = None
                    yield self.text
                    continue
                arrived = piece.result()
                if arrived is None:
                    return
                self.text += arrived
                due = loop.time() + self._interval if due is None else due
                piece = asyncio.ensure_future(anext(self._pieces, None))
        finally:
            piece.cancel()
