"""Forks bots from a server process that has imported Strandline.

A forked bot is ready after 0.2 s instead of 1 s.
"""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from threading import Lock

from strandline.testing.errors import KitError

REQUEST_BYTES = 1_000_000
"""The maximum size of a request to a fork server, in bytes."""

_INTERPRETER = ("LD_", "PYTHON")
"""The prefixes of environment variables that have an effect only when an interpreter starts.

A fork can't apply them, so each set of their values has a fork server of its own.
"""

_COVERAGE = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
"""The environment variables that make a Python process measure its test coverage."""


class ForkedProcess:
    """A process that a fork server started, with the ``Popen`` methods that tests need.

    Args:
        answers: The socket on which the server sends the process id, and later the exit code.
    """

    def __init__(self, answers: socket.socket) -> None:
        self._answers = answers.makefile("rb", buffering=0)
        self.returncode: int | None = None
        self.pid = self._read()

    def poll(self) -> int | None:
        """The exit code, or None while the process runs.

        For a process that a signal ended, the code is the negative number of that signal.
        """
        if self.returncode is None and select.select([self._answers], [], [], 0)[0]:
            return self.wait()
        return self.returncode

    def wait(self) -> int:
        """Wait until the process ends, and return its exit code, in the same form as ``poll``."""
        if self.returncode is None:
            self.returncode = self._read()
            self._answers.close()
        return self.returncode

    def kill(self) -> None:
        """Send SIGKILL, if the process runs."""
        self._send(signal.SIGKILL)

    def terminate(self) -> None:
        """Send SIGTERM, if the process runs."""
        self._send(signal.SIGTERM)

    def _send(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def _read(self) -> int:
        """Read the server's next number: the process id or the exit code.

        If the server is gone, return the exit code of a process ended by SIGKILL.
        """
        line = self._answers.readline()
        return int(line) if line else -signal.SIGKILL


def can_fork(environment: Mapping[str, str]) -> bool:
    """Whether a process with these environment variables can be forked.

    Forking needs Linux, and is impossible if the process is to measure its test coverage.
    """
    return sys.platform == "linux" and not any(name in environment for name in _COVERAGE)


def fork_module(
    module: str,
    arguments: Sequence[str],
    *,
    output: Path,
    directory: Path,
    environment: Mapping[str, str],
) -> ForkedProcess:
    """Start ``python -m module`` by forking a process that has already imported Strandline.

    The arguments are those of ``start_module``. The process is killed when this process ends.

    Raises:
        KitError: The fork server is gone.
    """
    interpreter = {k: v for k, v in environment.items() if k.startswith(_INTERPRETER)}
    server = _server(tuple(sorted(interpreter.items())))
    return server.fork(
        {
            "module": module,
            "arguments": list(arguments),
            "output": str(output),
            "directory": str(directory),
            "environment": dict(environment),
        }
    )


class _Server:
    """Starts a fork server process, and sends requests to it.

    Args:
        interpreter: The server's environment variables with a prefix in ``_INTERPRETER``.
    """

    def __init__(self, interpreter: Mapping[str, str]) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_INTERPRETER)}
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = Lock()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  # ours
                [sys.executable, "-m", "strandline.testing.forkserver", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**kept, **interpreter},
            )
        atexit.register(self._close)

    def fork(self, request: Mapping[str, object]) -> ForkedProcess:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            try:
                with self._lock:
                    message = json.dumps(request).encode()
                    socket.send_fds(self._requests, [message], [theirs.fileno()])
            except OSError as error:
                problem = f"the bot can't be forked ({error}): start the tests again"
                raise KitError(problem) from error
            theirs.close()
            return ForkedProcess(ours)

    def _close(self) -> None:
        self._requests.close()
        self._process.wait()


@cache
def _server(interpreter: tuple[tuple[str, str], ...]) -> _Server:
    return _Server(dict(interpreter))
