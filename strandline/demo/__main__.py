"""``python -m strandline.demo``: a chat in a terminal, a scripted tour without one."""

import asyncio
import sys
import time

from fsm import StrandlineError
from strandline.demo.stage import set_up
from strandline.demo.terminal import chat
from strandline.demo.tour import NotAsExpected, Tour

_began = time.perf_counter()


def tell(line: str) -> None:
    """One line of progress, with the seconds since the start."""
    print(f"[{time.perf_counter() - _began:5.1f} s] {line}", flush=True)  # noqa: T201


async def demo() -> int:
    """Play the demo; the exit code."""
    async with set_up(tell) as stage:
        if sys.stdin.isatty():
            await chat(stage, tell)
            return 0
        tour = Tour(stage, tell)
        try:
            await tour.play()
        except NotAsExpected as problem:
            await tour.show_transcript()
            tell(f"not as expected: {problem}")
            return 1
        await tour.show_transcript()
        tell("the tour is as expected")
        return 0


def main() -> None:
    """Run, and leave nothing behind."""
    try:
        sys.exit(asyncio.run(demo()))
    except KeyboardInterrupt:
        sys.exit(130)
    except StrandlineError as error:
        print(f"strandline: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


main()
