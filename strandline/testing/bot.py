"""The bot as a process of its own, to be killed and started again."""

import asyncio
import os
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from fsm.values.ids import EventId, UserId
from strandline.engine.clock import VARIABLE
from strandline.testing.errors import KitError
from strandline.testing.forks import ForkedProcess, can_fork, fork_module
from strandline.testing.homeserver import Credentials
from strandline.testing.log import BotLog, Line, events
from strandline.testing.processes import last_lines, start_module
from strandline.testing.store import BotStore

READY_SECONDS = 60.0
"""How long a start may take on a busy machine."""

SETTLE_SECONDS = 60.0
"""How long the bot may take for what it has in hand, on a busy machine."""

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
        forked: Fork it from a process that has imported Strandline, where that is possible, so
            that it starts sooner. Nothing else is shared with other processes.
    """

    def __init__(self, directory: Path, config: Mapping[str, Any], *, forked: bool = False) -> None:
        self.directory = directory
        self.config = dict(config)
        self.environment: dict[str, str] = {VARIABLE: str(directory / "clock")}
        self._forked = forked
        self._process: subprocess.Popen[bytes] | ForkedProcess | None = None
        self._log = BotLog(directory / "bot.log")
        self._ahead = timedelta()
        self._launched = 0.0
        self._was_ended = False
        self._told: set[str] = set()

    def __repr__(self) -> str:
        return f"<{self.user_id}>"

    @property
    def user_id(self) -> UserId:
        """Its account."""
        return UserId(self.config["homeserver"]["user_id"])

    @property
    def log_path(self) -> Path:
        """What it printed, over all its lives."""
        return self._log.path

    @property
    def log(self) -> list[Line]:
        """What it has logged in all its lives, and when a test started, killed or advanced it."""
        return self._log.lines()

    @property
    def database(self) -> Path:
        """Its ``lambda_matrix.db``."""
        return self.directory / "data" / "lambda_matrix.db"

    @property
    def store(self) -> BotStore:
        """What is committed to its database just now."""
        return BotStore(self.database)

    @property
    def pid(self) -> int | None:
        """The process, if it was started and not yet reaped."""
        return self._process.pid if self._process else None

    async def start(self, *, wait: bool = True) -> None:
        """Start it with the present config, and wait until it is ready.

        Raises:
            KitError: It ended, or was not ready in time.
        """
        self.launch()
        if wait:
            await self.ready()

    def launch(self) -> None:
        """Begin a life of the process with the present config, and wait for nothing."""
        config_path = self.write_config()
        self._log.begin_life()
        self._launched, self._was_ended = time.monotonic(), False
        self._process = self._spawn(config_path)

    def _spawn(self, config_path: Path) -> subprocess.Popen[bytes] | ForkedProcess:
        environment = {**os.environ, **self.environment}
        start = fork_module if self._forked and can_fork(environment) else start_module
        return start(
            "strandline",
            ["run", "--config", str(config_path)],
            output=self.log_path,
            directory=self.directory,
            environment=environment,
        )

    def write_config(self) -> Path:
        """Write the present config to its file, and return the file."""
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / "config.yaml"
        path.write_text(yaml.safe_dump(self.config, allow_unicode=True))
        return path

    async def ready(self) -> None:
        """Wait until this life of the bot has said that it is ready.

        Raises:
            KitError: It ended, or was not ready in time.
        """
        while not self.is_ready():
            await asyncio.sleep(0.02)

    def is_ready(self) -> bool:
        """Whether this life of the bot has said that it is ready.

        Raises:
            KitError: It ended before, or its time for that is up.
        """
        if events(self.log_lines(), "ready"):
            return True
        if self.exit_code() is not None or time.monotonic() > self._launched + READY_SECONDS:
            raise KitError("the bot did not get ready", last_lines(self.log_path))
        return False

    def must_run(self) -> None:
        """Complain of a process that is gone.

        Raises:
            KitError: A test has ended it and not started it again, or it ended by itself.
        """
        if self._was_ended:
            raise KitError("the bot was stopped; start it again: await bot.restart()")
        if (code := self.exit_code()) is not None:
            what = f"the bot ended by itself, with exit code {code}"
            raise KitError(what, last_lines(self.log_path))

    def hears(self, event_id: EventId) -> None:
        """Somebody sends an event that the bot will come across: ``settled`` waits for it."""
        self._told.add(event_id)

    async def settled(self) -> None:
        """Wait until the bot has handled all that it was told, and owes nobody anything.

        Its log level must be ``debug``.

        Raises:
            KitError: It does not run, or takes too long.
        """
        until = time.monotonic() + SETTLE_SECONDS
        while left := self._told - self._handled() or self._owed():
            self.must_run()
            if time.monotonic() > until:
                what = f"the bot is not done with {', '.join(left)}"
                raise KitError(what, last_lines(self.log_path))
            await asyncio.sleep(0.02)

    def _handled(self) -> set[str]:
        """The events of which it has said that they are behind it."""
        return {line["event_id"] for line in events(self.log, "turn done", "passed over")}

    def _owed(self) -> set[str]:
        """What the homeserver has not acknowledged."""
        statement = "SELECT transaction_id FROM outbox WHERE parked_error IS NULL"
        return {row[0] for row in self.store.rows(statement)}

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
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await self.terminate()
            await self.kill()

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.end()

    def end(self) -> None:
        """The same, for where no event loop runs."""
        if self._process is not None and self.exit_code() is None:
            self._process.kill()
            self._process.wait()
            self._was_ended = True
            self._log.note("killed")

    async def terminate(self) -> int:
        """SIGTERM, and wait for the exit code."""
        assert self._process is not None, "start the bot first"  # noqa: S101
        self._process.terminate()
        self._was_ended = True
        self._log.note("stopped")
        return await self.ended()

    async def restart(self) -> None:
        """A new life with the same data, after SIGKILL if it runs."""
        await self.kill()
        await self.start()

    async def advance(self, by: timedelta) -> None:
        """Set the bot's clocks forward, in this life and those that follow.

        If it runs, and its log level is ``debug``, what it was told before is handled before; and
        when this returns, it has done what is to be done about all whose time is up.
        """
        tells = self._process is not None and self.exit_code() is None and self._tells
        if tells:
            await self.settled()
        self._ahead += by
        path = self.directory / "clock"
        path.with_suffix(".new").write_text(str(self._ahead.total_seconds()))
        path.with_suffix(".new").replace(path)
        self._log.note("advanced", by=str(by))
        if tells:
            await self._noticed(self._ahead.total_seconds())

    @property
    def _tells(self) -> bool:
        """Whether it logs what a test can wait for."""
        return bool(self.config["log"].get("level") == "debug")

    async def _noticed(self, ahead_seconds: float) -> None:
        until = time.monotonic() + SETTLE_SECONDS
        while True:
            for line in events(self.log_lines(), "time was set forward"):
                if line["ahead_seconds"] == ahead_seconds:
                    self._told.update(line["ended"])
                    await self.settled()
                    return
            self.must_run()
            if time.monotonic() > until:
                raise KitError("the bot does not notice the time", last_lines(self.log_path))
            await asyncio.sleep(0.02)

    def log_lines(self) -> list[Line]:
        """What the present life has logged, as JSON; other output is left out."""
        return self._log.of_this_life()
