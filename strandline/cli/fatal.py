"""Kills the process at a named failpoint, for tests.

Without these environment variables, nothing is installed, and ``reach`` does nothing.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock

from fsm import failpoints

VARIABLE = "STRANDLINE_FAILPOINT"
"""``NAME`` or ``NAME:N``: kill the process when it reaches the failpoint for the N-th time."""

FILE_VARIABLE = "STRANDLINE_FAILPOINT_FILE"
"""A path. What a test writes there while the process runs is read as ``VARIABLE`` is, and counted
from then on; an empty file or none arms nothing."""

TRACE_VARIABLE = "STRANDLINE_FAILPOINT_TRACE"
"""A path, to which the name of every point that is reached is appended as a line."""


def arm(environment: Mapping[str, str]) -> None:
    """Install the failpoint that the environment names, if there is one."""
    hooks: list[Callable[[str], None]] = []
    if trace := environment.get(TRACE_VARIABLE):
        hooks.append(_tracing(trace))
    if path := environment.get(FILE_VARIABLE):
        hooks.append(_Trap(lambda: _content(Path(path))))
    if wanted := environment.get(VARIABLE):
        hooks.append(_Trap(lambda: wanted))
    if not hooks:
        return

    def hook(at: str) -> None:
        for each in hooks:
            each(at)

    failpoints.install(hook)


class _Trap:
    """Kills the process at the failpoint ``wanted``, which any thread may reach."""

    def __init__(self, wanted: Callable[[], str]) -> None:
        self._wanted = wanted
        self._armed = ""
        self._reached: Counter[str] = Counter()
        self._lock = Lock()

    def __call__(self, at: str) -> None:
        with self._lock:
            wanted = self._wanted()
            if wanted != self._armed:
                self._armed = wanted
                self._reached.clear()
            self._reached[at] += 1
            name, _, number = wanted.partition(":")
            if at == name and self._reached[at] == int(number or 1):
                os.kill(os.getpid(), signal.SIGKILL)


def _content(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""


def _tracing(path: str) -> Callable[[str], None]:
    trace = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(at: str) -> None:
        os.write(trace, f"{at}\n".encode())

    return note
