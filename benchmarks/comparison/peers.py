"""The other frameworks, in a virtual environment of their own."""

import subprocess
import sys
from pathlib import Path

PEERS = {
    "maubot": "0.6.0",
    "python-telegram-bot": "22.8",
    "aiogram": "3.31.0",
    "aiogram-fsm-sqlitestorage": "1.0.0",
}
"""What was current when this was written. Raise them and measure again."""


def make_peers(folder: Path) -> Path:
    """Make the environment if it is not there; its Python."""
    python = folder / "bin" / "python"
    if not python.exists():
        _run(sys.executable, "-m", "venv", folder)
    wanted = [f"{name}=={version}" for name, version in PEERS.items()]
    _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted)
    return python


def versions(python: Path) -> dict[str, str]:
    """What is installed there, mautrix (which maubot stands on) included."""
    show = "import sys; from importlib.metadata import version; "
    show += "print(*(version(name) for name in sys.argv[1:]))"
    names = [*PEERS, "mautrix"]
    found = subprocess.run(  # noqa: S603  # the arguments are ours
        [python, "-c", show, *names], check=True, capture_output=True, text=True
    )
    return dict(zip(names, found.stdout.split(), strict=True))


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True)  # noqa: S603  # the arguments are ours
