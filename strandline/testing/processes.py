"""Child processes that die with their parent, however it ends."""

import random
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from strandline.testing.errors import KitError

PORTS = range(15_000, 32_000)
"""Below those that a system gives to outgoing connections: one of them could take a server's port
while that is down between two starts."""


def start_module(
    module: str,
    arguments: Sequence[str],
    *,
    output: Path,
    directory: Path,
    environment: Mapping[str, str],
) -> subprocess.Popen[bytes]:
    """Start ``python -m module``, so that it is killed when this process ends.

    On Linux, the parent is the calling thread: call it from a thread that lives as long as the
    child.
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
    """A TCP port of 127.0.0.1 that is free now."""
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise KitError("no port of 127.0.0.1 is free")


def last_lines(path: Path, count: int = 30) -> str:
    """The last lines of a text file; empty if it does not exist."""
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return "\n".join(lines[-count:])
