"""The table: for one kind of event, a kill at each point that it reaches."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL
from zlib import crc32

from attrs import define, field

from tests.crash.failpoints import points
from tests.crash.failpoints.kinds import KINDS, Kind
from tests.crash.failpoints.place import Place
from tests.crash.failpoints.trap import Trap
from tests.support.setup import Setup

ENOUGH = 3
"""So many failures say what is wrong; a further one would wait for its answers in vain as well."""

TRIES = 3
"""So often a bot is to be killed at a point, if it does not reach it."""


@define
class Outcome:
    """What a part of the table came to."""

    reached: Counter[str] = field(factory=Counter)
    killed: int = 0
    not_reached: list[str] = field(factory=list)
    failures: dict[str, str] = field(factory=dict)
    seconds: float = 0.0

    @property
    def cells(self) -> int:
        return self.killed + len(self.not_reached)


class Table:
    """One kind's column, or a part of it."""

    def __init__(self, kind: Kind, setup: Setup, directory: Path, *, is_full: bool) -> None:
        self._kind = kind
        self._setup = setup
        self._directory = directory
        self._is_full = is_full
        self._trap: Trap | None = None

    async def run(self, part: int, parts: int) -> Outcome:
        """Watch the event, then kill the bot in each of this part's cells."""
        begun = time.monotonic()
        outcome = Outcome(reached=await self._reached())
        for point, number in list(self._cells(outcome.reached))[part::parts]:
            cell = f"{point}:{number}"
            try:
                died = await self._tries(point, number)
            except (AssertionError, Exception) as error:  # noqa: BLE001  # all cells are run
                outcome.failures[cell] = f"{type(error).__name__}: {error}"
                outcome.killed += 1
                self._trap = None
                if len(outcome.failures) == ENOUGH:
                    break
            else:
                outcome.killed += died
                outcome.not_reached += [] if died else [cell]
        outcome.seconds = time.monotonic() - begun
        return outcome

    def _cells(self, reached: Counter[str]) -> Iterator[tuple[str, int]]:
        for point in sorted(reached if self._is_full else self._choice(reached)):
            yield point, 1
            if reached[point] > 1 and self._is_full:
                yield point, reached[point]

    def _choice(self, reached: Counter[str]) -> list[str]:
        """What it owns, what nobody owns, and then what chance has put first, once for all."""
        mine = [
            p for p in reached if self._kind.has(p) or not any(k.has(p) for k in KINDS.values())
        ]
        others = [p for p in reached if p not in mine]
        others.sort(key=lambda point: crc32(f"{type(self._kind).__name__} {point}".encode()))
        return mine + others[: max(0, self._kind.least - len(mine))]

    async def _reached(self) -> Counter[str]:
        """What the event reaches: watched again if, on a slow machine, it missed what it owns."""
        owned = [point for point in points.names() if self._kind.has(point)]
        reached = Counter[str]()
        for _ in range(TRIES):
            reached |= await self._watch()
            if all(point in reached for point in owned):
                break
        return reached

    async def _watch(self) -> Counter[str]:
        trap = await self._bot()
        place = await self._before(trap)
        trap.begin()
        await self._event(place)
        await self._kind.done(place)
        await trap.quiet()
        reached = trap.reached()
        await self._after(place)
        return reached

    async def _tries(self, point: str, number: int) -> bool:
        """Whether the bot died there. What it reaches, and how often, may hang on its speed."""
        for _ in range(TRIES):
            if await self._cell(point, number):
                return True
        return False

    async def _cell(self, point: str, number: int) -> bool:
        trap = await self._bot()
        place = await self._before(trap)
        if self._kind.is_start:
            await self._kind.event(place)
            trap.arm(point, number)
            await trap.bot.start(wait=False)
        else:
            trap.arm(point, number)
            await self._kind.event(place)
        died = await self._death(trap, place)
        trap.disarm()
        await asyncio.sleep(0.05)  # it may have been about to die
        died = died or trap.bot.exit_code() is not None
        if died:
            self._kind.died(place)
            await trap.bot.start()
            await self._kind.done_again(place)
        else:
            await self._kind.done(place)
        await self._after(place)
        return died

    async def _death(self, trap: Trap, place: Place) -> bool:
        """Wait for the bot's death; whether it came, or all was done without it."""
        done = asyncio.ensure_future(self._kind.done(place))
        death = asyncio.ensure_future(trap.bot.ended())
        try:
            await asyncio.wait({done, death}, return_when=asyncio.FIRST_COMPLETED)
            if not death.done():
                await trap.quiet()
        finally:
            done.cancel()
            death.cancel()
        code = trap.bot.exit_code()
        assert code in (None, -SIGKILL), f"the bot ended with {code}"
        return code is not None

    async def _bot(self) -> Trap:
        if self._trap is not None and not self._kind.has_bots_of_its_own:
            return self._trap
        bot = await self._kind.new_bot(self._setup)
        self._trap = Trap(bot, self._directory)
        if not self._kind.has_bots_of_its_own:
            await bot.start()
        return self._trap

    async def _before(self, trap: Trap) -> Place:
        place = await self._kind.place(self._setup, trap.bot)
        await self._kind.prepare(place)
        if trap.bot.exit_code() is None and trap.bot.pid is not None:
            await trap.quiet()
            if self._kind.is_start:
                await trap.bot.kill()
        return place

    async def _event(self, place: Place) -> None:
        await self._kind.event(place)
        if self._kind.is_start:
            await place.bot.start()

    async def _after(self, place: Place) -> None:
        await self._kind.go_on(place)
        await self._trap_of().quiet()
        await self._kind.verdict(place)
        if self._kind.has_bots_of_its_own:
            await place.bot.kill()

    def _trap_of(self) -> Trap:
        assert self._trap is not None
        return self._trap
