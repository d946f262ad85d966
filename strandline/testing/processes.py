"""Child processes that die with their parent, whatever it dies of."""

import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def start_module(
    module: str,
    arguments: Sequence[str],
    *,
    output: Path,
    directory: Path,
    environment: Mapping[str, str],
) -> subprocess.Popen[bytes]:
    """Start ``python -m module`` so that it is killed when this process ends."""
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
    """A TCP port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def last_lines(path: Path, count: int = 30) -> str:
    """The end of a text file that may not exist."""
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return "\n".join(lines[-count:])
