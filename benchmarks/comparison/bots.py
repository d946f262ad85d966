"""The bots as processes, which are killed and started again."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import yaml

from benchmarks.comparison.telegram import TOKEN
from strandline.testing import BotProcess, Credentials, Synapse
from strandline.testing.bot import config_for

PROGRAMS = Path(__file__).parent / "programs"


_LOGGING = (
    "import logging, runpy, sys; logging.basicConfig(level=logging.INFO);"
    "runpy.run_path(sys.argv[1], run_name='__main__')"
)
"""Runs a program with its framework's log switched on, which says when the bot listens."""


class Killable(Protocol):
    """A bot's process."""

    def launch(self) -> None:
        """Begin a life of it."""

    def is_ready(self) -> bool:
        """Whether this life says that it listens."""

    def exit_code(self) -> int | None:
        """None while it runs."""

    def end(self) -> None:
        """SIGKILL, and wait until it is gone."""


class Program:
    """A peer's bot.

    Args:
        command: What starts it.
        directory: Where it keeps its data, and its log ``bot.log``.
        ready: What its log says when it listens.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        directory: Path,
        *,
        ready: str,
        environment: Mapping[str, str],
    ) -> None:
        self._command = command
        self._directory = directory
        self._ready = ready
        self._environment = {**os.environ, **environment, "PYTHONUNBUFFERED": "1"}
        self._process: subprocess.Popen[bytes] | None = None
        self._begun = 0
        directory.mkdir(parents=True)

    @property
    def log_path(self) -> Path:
        return self._directory / "bot.log"

    def launch(self) -> None:
        with self.log_path.open("ab") as log:
            self._begun = log.tell()
            self._process = subprocess.Popen(  # noqa: S603  # the arguments are ours
                self._command,
                cwd=self._directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def is_ready(self) -> bool:
        with self.log_path.open("rb") as log:
            log.seek(self._begun)
            return self._ready.encode() in log.read()

    def exit_code(self) -> int | None:
        return self._process.poll() if self._process else None

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def strandline_bot(folder: Path, synapse: Synapse, account: Credentials) -> BotProcess:
    """The form on Strandline."""
    folder.mkdir(parents=True)
    (folder / "strandline_form.py").write_text((PROGRAMS / "strandline_form.py").read_text())
    flows = ["strandline_form:Form", "strandline_form:Submissions"]
    agents = [{"id": "echo", "kind": "echo"}]
    return BotProcess(folder, config_for(synapse.url, account, agents=agents, flows=flows))


def maubot_bot(folder: Path, python: Path, synapse: Synapse, account: Credentials) -> Program:
    """The form on maubot, as one plugin in standalone mode."""
    command = [python, "-m", "maubot.standalone", "-m", PROGRAMS / "maubot" / "maubot.yaml"]
    bot = Program(command, folder, ready="Startup completed", environment={})
    config = {
        "user": {
            "credentials": {
                "id": account.user_id,
                "homeserver": synapse.url,
                "access_token": account.access_token,
            },
            "autojoin": True,
            "displayname": "disable",
            "avatar_url": "disable",
            "ignore_first_sync": False,  # hear what was said while it was down
        },
        "database": "sqlite:bot.db",
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return bot


def telegram_bot(folder: Path, python: Path, port: int) -> Program:
    """The form on python-telegram-bot."""
    command = [python, "-c", _LOGGING, PROGRAMS / "telegram_form.py"]
    return Program(command, folder, ready="Application started", environment=_bot_api(port))


def aiogram_bot(folder: Path, python: Path, port: int, *, one_by_one: bool) -> Program:
    """The form on aiogram."""
    command = [python, "-c", _LOGGING, PROGRAMS / "aiogram_form.py"]
    environment = _bot_api(port) | ({"ONE_BY_ONE": "1"} if one_by_one else {})
    return Program(command, folder, ready="Run polling", environment=environment)


def _bot_api(port: int) -> dict[str, str]:
    return {"BOT_API": f"http://127.0.0.1:{port}", "TOKEN": TOKEN}
