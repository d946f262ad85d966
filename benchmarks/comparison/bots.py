"""The bots as processes, which are killed and started again."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import yaml

from benchmarks.comparison.bot_api import TOKEN
from strandline.testing import BotProcess, Credentials, Synapse
from strandline.testing.bot import config_for

PROGRAMS = Path(__file__).parent / "programs"


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
    command: list[str | Path] = [
        python,
        "-m",
        "maubot.standalone",
        "-m",
        PROGRAMS / "maubot" / "maubot.yaml",
    ]
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


class Nursling:
    """A peer's bot whose framework is imported once and for all of its lives.

    Args:
        modules: What is imported beforehand.
        program: The bot.
        directory: Where it keeps its data, and its log ``bot.log``.
        ready: What its log says when it listens.
    """

    def __init__(  # noqa: PLR0913
        self,
        python: Path,
        modules: str,
        program: str,
        directory: Path,
        *,
        ready: str,
        environment: Mapping[str, str],
    ) -> None:
        directory.mkdir(parents=True)
        self._log_path = directory / "bot.log"
        self._ready = ready
        self._begun = 0
        self._pid: int | None = None
        with self._log_path.open("ab") as log:
            self._nursery = subprocess.Popen(  # noqa: S603  # the arguments are ours
                [python, Path(__file__).with_name("nursery.py"), modules, PROGRAMS / program],
                cwd=directory,
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def launch(self) -> None:
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        self._begun = self._log_path.stat().st_size
        self._nursery.stdin.write(b"\n")
        self._nursery.stdin.flush()
        self._pid = int(self._nursery.stdout.readline())

    def is_ready(self) -> bool:
        return self._ready.encode() in self._log_path.read_bytes()[self._begun :]

    def exit_code(self) -> int | None:
        """None while it runs; how it ended is not known."""
        if self._pid is None:
            return None
        try:
            os.kill(self._pid, 0)
        except ProcessLookupError:
            return 1
        return None

    def end(self) -> None:
        if self._pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            while self.exit_code() is None:
                time.sleep(0.001)
            self._pid = None

    def close(self) -> None:
        """End the nursery too."""
        self.end()
        self._nursery.kill()
        self._nursery.wait()


def telegram_bot(folder: Path, python: Path, port: int) -> Nursling:
    """The form on python-telegram-bot."""
    return Nursling(
        python,
        "telegram.ext",
        "telegram_form.py",
        folder,
        ready="Application started",
        environment=_bot_api(port),
    )


def aiogram_bot(folder: Path, python: Path, port: int, *, one_by_one: bool) -> Nursling:
    """The form on aiogram."""
    return Nursling(
        python,
        "aiogram,aiogram.client.session.aiohttp,aiogram_fsm_sqlitestorage",
        "aiogram_form.py",
        folder,
        ready="Run polling",
        environment=_bot_api(port) | ({"ONE_BY_ONE": "1"} if one_by_one else {}),
    )


def _bot_api(port: int) -> dict[str, str]:
    return {"BOT_API": f"http://127.0.0.1:{port}", "TOKEN": TOKEN}
