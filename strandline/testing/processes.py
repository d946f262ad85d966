"""Starts child processes that, on Linux, are killed when their parent ends, however it ends."""

import secrets
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from strandline.testing.errors import KitError

PORTS = range(15_000, 32_000)
"""The ports for servers, below those that a system gives to outgoing connections.

Otherwise an outgoing connection could take a server's port while the server is down between two
starts.
"""


def start_module(
    module: str,
    arguments: Sequence[str],
    *,
    output: Path,
    directory: Path,
    environment: Mapping[str, str],
) -> subprocess.Popen[bytes]:
    """Start ``python -m module``. On Linux, the child is killed when the calling thread ends.

    So call this function from a thread that lives as long as the child is needed.

    Args:
        module: The module's import path.
        arguments: The module's command-line arguments.
        output: The file to which the child appends its output and errors.
        directory: The child's working directory.
        environment: All environment variables of the child.
    """
    with output.open("ab") as sink:
        return subprocess.Popen(  # noqa: S603  # the arguments are ours
            [sys.executable, "-m", "strandline.testing.child", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=dict(environment),
        )


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free now.

    Raises:
        KitError: No port is free.
    """
    for _ in range(len(PORTS)):
        port = secrets.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise KitError("no port of 127.0.0.1 is free")


def last_lines(path: Path, count: int = 30) -> str:
    """Return the last ``count`` lines of a text file; an empty text if there is no such file."""
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return "\n".join(lines[-count:])
