"""Kills the process at a named failpoint, for tests.

Without the environment variables below, no hook is installed, and ``failpoints.reach`` does
nothing.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock

from fsm import failpoints

VARIABLE = "STRANDLINE_FAILPOINT"
"""``NAME`` or ``NAME:N``: the process is killed when it reaches failpoint ``NAME`` the N-th time.

Without ``N``, the first time.
"""

FILE_VARIABLE = "STRANDLINE_FAILPOINT_FILE"
"""The path of a file with a text in the form of ``VARIABLE``.

A test may write the file while the process runs. How often a failpoint is reached is counted from
the last change of the text. An empty or missing file kills nothing.
"""

TRACE_VARIABLE = "STRANDLINE_FAILPOINT_TRACE"
"""The path of a file, to which the name of each reached failpoint is appended as a line."""


def arm(environment: Mapping[str, str]) -> None:
    """Install a hook that kills the process or writes the trace, if the environment says so."""
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
    """A failpoint hook that kills the process. Any thread may call it.

    Args:
        wanted: Returns the failpoint at which to kill, in the form of ``VARIABLE``; empty for none.
            It is called each time that any failpoint is reached.
    """

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
