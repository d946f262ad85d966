"""Running and killing those programs."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[3]


@contextmanager
def child(name: str, path: Path, *args: str) -> Iterator[subprocess.Popen[str]]:
    """The program, killed at the end if it still runs."""
    command = [sys.executable, "-m", "tests.support.store.children", name, str(path), *args]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            yield process
        finally:
            process.kill()


def read(process: subprocess.Popen[str], lines: int) -> list[str]:
    """So many lines of what it reports, fewer if it ends before."""
    assert process.stdout is not None
    found = [process.stdout.readline() for _ in range(lines)]
    return [line.rstrip("\n") for line in found if line]


def kill(process: subprocess.Popen[str]) -> list[str]:
    """SIGKILL; what else it had reported."""
    process.send_signal(signal.SIGKILL)
    assert process.stdout is not None
    rest = process.stdout.read().splitlines()
    process.wait()
    return rest
