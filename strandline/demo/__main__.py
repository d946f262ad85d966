"""``python -m strandline.demo``: a chat in the terminal, or a script if input is no terminal."""

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress

import aiohttp

from fsm import StrandlineError
from fsm.values.text import printable
from strandline.demo.script import DemoScript, NotAsExpected
from strandline.demo.setup import set_up
from strandline.demo.terminal import chat

_began = time.perf_counter()


def tell(line: str) -> None:
    """Print one line of progress, with the seconds since the start."""
    with suppress(OSError):  # the reader of a pipe or the terminal is gone; cleaning up goes on
        print(f"[{time.perf_counter() - _began:5.1f} s] {printable(line, lines=True)}", flush=True)  # noqa: T201


async def demo() -> int:
    """Run the demo, and return the exit code: 1 if a step of the script failed, else 0."""
    _end_as_by_ctrl_c()
    async with set_up(tell) as setup:
        if sys.stdin.isatty():
            await chat(setup, tell)
            return 0
        script = DemoScript(setup, tell)
        try:
            await script.play()
        except NotAsExpected:
            await script.show_transcript()
            return 1
        await script.show_transcript()
        tell("the demo is as expected")
        return 0


def main() -> None:
    """Run the demo and remove all its files and processes."""
    try:
        code = asyncio.run(demo())
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = 130
    except Exception as error:
        known = _first_known(error)
        if known is None:
            raise
        with suppress(OSError):
            print(f"strandline: {printable(_one_line(known))}", file=sys.stderr)  # noqa: T201
        code = 1
    try:
        sys.stdout.flush()
    except OSError:  # standard output is closed; keep the interpreter from flushing it again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _end_as_by_ctrl_c() -> None:
    """Make SIGTERM and SIGHUP cancel the demo, so that it cleans up as after Ctrl-C.

    SIGHUP is sent when the terminal's window is closed.
    """
    task = asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if task is not None and signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)


def _first_known(error: BaseException) -> BaseException | None:
    """Return an error that needs no traceback: ``error`` itself, or one in an exception group.

    None if there is no such error.
    """
    if isinstance(error, StrandlineError | OSError | aiohttp.ClientError):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_first_known, error.exceptions)), None)
    return None


def _one_line(error: BaseException) -> str:
    """Return the error as one line: its first line, and its last if it has several.

    The last line of a failed process's error is the last output of the process.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return f"{lines[0]} {lines[-1]}" if lines[1:] else lines[0]


if __name__ == "__main__":
    main()
