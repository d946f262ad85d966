"""The bot as a process of its own, to be killed and started again."""

import asyncio
import json
import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from strandline.clock import VARIABLE
from strandline.testing.errors import KitError
from strandline.testing.homeserver import Credentials
from strandline.testing.processes import last_lines, start_module

READY_SECONDS = 60.0
"""How long a start may take on a busy machine."""

STOP_SECONDS = 5.0
"""How long a bot may take to stop before it is killed."""


def config_for(
    url: str, credentials: Credentials, *, agents: list[dict[str, Any]], **sections: object
) -> dict[str, Any]:
    """A config for a bot on this homeserver; ``sections`` are further top-level keys."""
    return {
        "homeserver": {
            "url": url,
            "user_id": credentials.user_id,
            "password": credentials.password,
        },
        "storage": {"data_dir": "data"},
        "agents": agents,
        "log": {"format": "json"},
        **sections,
    }


class BotProcess:
    """``strandline run`` in a directory of its own.

    Args:
        directory: Where its config, data and log lie.
        config: What ``config.yaml`` says.
    """

    def __init__(self, directory: Path, config: Mapping[str, Any]) -> None:
        self.directory = directory
        self.config = dict(config)
        self.environment: dict[str, str] = {VARIABLE: str(directory / "clock")}
        self._process: subprocess.Popen[bytes] | None = None
        self._read = 0
        self._ahead = timedelta()

    @property
    def log_path(self) -> Path:
        """What it printed, over all its lives."""
        return self.directory / "bot.log"

    @property
    def database(self) -> Path:
        """Its ``lambda_matrix.db``."""
        return self.directory / "data" / "lambda_matrix.db"

    @property
    def pid(self) -> int | None:
        """The process, if it was started and not yet reaped."""
        return self._process.pid if self._process else None

    async def start(self, *, wait: bool = True) -> None:
        """Start it with the present config, and wait until it is ready.

        Raises:
            KitError: It ended, or was not ready in time.
        """
        config_path = self.write_config()
        self._read = self.log_path.stat().st_size if self.log_path.exists() else 0
        self._process = start_module(
            "strandline",
            ["run", "--config", str(config_path)],
            output=self.log_path,
            directory=self.directory,
            environment={**os.environ, **self.environment},
        )
        if wait:
            await self.ready()

    def write_config(self) -> Path:
        """Write the present config to its file, and return the file."""
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / "config.yaml"
        path.write_text(yaml.safe_dump(self.config, allow_unicode=True))
        return path

    async def ready(self) -> None:
        """Wait until this life of the bot has said that it is ready."""
        until = asyncio.get_running_loop().time() + READY_SECONDS
        while not any(line.get("event") == "ready" for line in self.log_lines()):
            if self.exit_code() is not None or asyncio.get_running_loop().time() > until:
                raise KitError("the bot did not get ready", last_lines(self.log_path))
            await asyncio.sleep(0.02)

    def exit_code(self) -> int | None:
        """How it ended (negative: the signal), or None while it runs."""
        return self._process.poll() if self._process else None

    async def ended(self) -> int:
        """Wait for its end."""
        while (code := self.exit_code()) is None:
            await asyncio.sleep(0.01)
        return code

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL if that takes long: for the end of a test."""
        if self._process is not None and self.exit_code() is None:
            self._process.terminate()
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await self.ended()
            await self.kill()

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            await self.ended()

    async def terminate(self) -> int:
        """SIGTERM, and wait for the exit code."""
        assert self._process is not None, "start the bot first"  # noqa: S101
        self._process.terminate()
        return await self.ended()

    def advance(self, time: timedelta) -> None:
        """Set the bot's clocks forward, in this life and those that follow."""
        self._ahead += time
        path = self.directory / "clock"
        path.with_suffix(".new").write_text(str(self._ahead.total_seconds()))
        path.with_suffix(".new").replace(path)

    async def kill_and_restart(self) -> None:
        """SIGKILL, and a new life with the same data."""
        await self.kill()
        await self.start()

    def log_lines(self) -> list[dict[str, Any]]:
        """What the present life has logged, as JSON; other output is left out."""
        if not self.log_path.exists():
            return []
        with self.log_path.open("rb") as log:
            log.seek(self._read)
            lines = log.read().decode(errors="replace").splitlines()
        parsed = []
        for line in lines:
            try:
                parsed.append(json.loads(line))
            except ValueError:
                continue
        return [line for line in parsed if isinstance(line, dict)]
