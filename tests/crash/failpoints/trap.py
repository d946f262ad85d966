"""Arms the failpoints of one bot, and reads which of them it reaches."""

import asyncio
from collections import Counter
from pathlib import Path

from strandline.cli.fatal import FILE_VARIABLE, TRACE_VARIABLE
from tests.support.setup import Bot

QUIET_SECONDS = 0.3
"""A bot that has reached nothing for so long is done, and waits in its sync."""


class Trap:
    """The two files through which a test and a bot process speak. Set up before the bot starts."""

    def __init__(self, bot: Bot, directory: Path) -> None:
        self.bot = bot
        self._order = directory / f"{bot.directory.name}.failpoint"
        self._trace = directory / f"{bot.directory.name}.trace"
        self._seen = 0
        bot.environment[FILE_VARIABLE] = str(self._order)
        bot.environment[TRACE_VARIABLE] = str(self._trace)

    def arm(self, point: str, number: int) -> None:
        """Have it die at the point, counted from now, now being before whatever comes next."""
        fresh = self._order.with_suffix(".new")
        fresh.write_text(f"{point}:{number}")
        fresh.replace(self._order)

    def disarm(self) -> None:
        self._order.unlink(missing_ok=True)

    def begin(self) -> None:
        """Forget what was reached so far."""
        self._seen = self._size()

    def reached(self) -> Counter[str]:
        """What was reached since ``begin``, and how often."""
        if not self._trace.exists():
            return Counter()
        with self._trace.open() as trace:
            trace.seek(self._seen)
            return Counter(trace.read().split())

    async def quiet(self) -> None:
        """Wait until nothing more is reached, or the process is gone."""
        loop = asyncio.get_running_loop()
        size, since = self._size(), loop.time()
        while self.bot.exit_code() is None and loop.time() - since < QUIET_SECONDS:
            await asyncio.sleep(0.05)
            if self._size() != size:
                size, since = self._size(), loop.time()

    def _size(self) -> int:
        return self._trace.stat().st_size if self._trace.exists() else 0
