"""Runs the bot as a separate process, which a test can kill and restart."""

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
"""The timeout of a bot's start, in seconds; long enough for a busy machine."""

SETTLE_SECONDS = 60.0
"""The timeout for a bot to finish its work in progress, in seconds; long enough for a busy
machine."""

STOP_SECONDS = 5.0
"""How long a bot may take to end after SIGTERM before it gets SIGKILL, in seconds."""


def config_for(
    url: str, credentials: Credentials, *, agents: list[dict[str, Any]], **sections: object
) -> dict[str, Any]:
    """Return the content of a ``config.yaml`` for a bot on a homeserver.

    Args:
        url: The base URL of the homeserver.
        credentials: The bot's account.
        agents: The ``agents`` section.
        sections: Further top-level sections; they replace default sections of the same name.
    """
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
    """Starts, kills and restarts a ``strandline run`` process with a directory of its own.

    Args:
        directory: The directory of the bot's config, data and log.
        config: The content of ``config.yaml``.
        forked: Whether to fork the bot from a process that has already imported Strandline, so that
            the bot starts faster. Where forking is impossible, the bot is started normally.

    Attributes:
        config: The content of ``config.yaml`` for the next start; a test may change it.
        environment: Environment variables of the bot in addition to those of the test's process.
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
        """The bot's user id."""
        return UserId(self.config["homeserver"]["user_id"])

    @property
    def log_path(self) -> Path:
        """The file to which all runs of the bot write their log and other output."""
        return self._log.path

    @property
    def log(self) -> list[Line]:
        """The output of all runs of the bot, and notes of the test's actions, oldest first.

        The noted actions are starts, stops, kills and clock changes.
        """
        return self._log.lines()

    @property
    def database(self) -> Path:
        """The path of the bot's database, ``lambda_matrix.db``."""
        return self.directory / "data" / "lambda_matrix.db"

    @property
    def store(self) -> BotStore:
        """A reader of the bot's database. Each call reads what is committed at that time."""
        return BotStore(self.database)

    @property
    def pid(self) -> int | None:
        """The id of the newest process, even if that has ended; None before the first start."""
        return self._process.pid if self._process else None

    async def start(self, *, wait: bool = True) -> None:
        """Start the process with the current config.

        Args:
            wait: Whether to wait until the bot is ready.

        Raises:
            KitError: The process ended, or was not ready in time.
        """
        self.launch()
        if wait:
            await self.ready()

    def launch(self) -> None:
        """Start the process with the current config, without waiting until it is ready."""
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
        """Write the current config to its file, and return the file's path."""
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / "config.yaml"
        path.write_text(yaml.safe_dump(self.config, allow_unicode=True))
        return path

    async def ready(self) -> None:
        """Wait until the current run has logged that it is ready.

        Raises:
            KitError: The process ended, or was not ready in time.
        """
        while not self.is_ready():
            await asyncio.sleep(0.02)

    def is_ready(self) -> bool:
        """Whether the current run has logged that it is ready.

        Raises:
            KitError: The process ended before it was ready, or was not ready in time.
        """
        if events(self.log_lines(), "ready"):
            return True
        if self.exit_code() is not None or time.monotonic() > self._launched + READY_SECONDS:
            raise KitError("the bot did not get ready", last_lines(self.log_path))
        return False

    def must_run(self) -> None:
        """Check that the process is running.

        Raises:
            KitError: The test ended the process and did not start it again, or the process ended by
                itself.
        """
        if self._was_ended:
            raise KitError("the bot was stopped; start it again: await bot.restart()")
        if (code := self.exit_code()) is not None:
            what = f"the bot ended by itself, with exit code {code}"
            raise KitError(what, last_lines(self.log_path))

    def hears(self, event_id: EventId) -> None:
        """Note the id of an event that was sent to the bot.

        ``settled`` waits until the bot has handled the event.
        """
        self._told.add(event_id)

    async def settled(self) -> None:
        """Wait until the bot has handled all events noted by ``hears`` and its outbox is empty.

        The bot's log level must be ``debug``. Parked outbox rows do not count.

        Raises:
            KitError: The process does not run, or is not done in time.
        """
        until = time.monotonic() + SETTLE_SECONDS
        while left := self._told - self._handled() or self._owed():
            self.must_run()
            if time.monotonic() > until:
                what = f"the bot is not done with {', '.join(left)}"
                raise KitError(what, last_lines(self.log_path))
            await asyncio.sleep(0.02)

    def _handled(self) -> set[str]:
        """The ids of all events that the bot has handled, according to its log."""
        return {line["event_id"] for line in events(self.log, "turn done", "passed over")}

    def _owed(self) -> set[str]:
        """The transaction ids of outbox rows that the homeserver has not acknowledged.

        Parked rows are left out.
        """
        statement = "SELECT transaction_id FROM outbox WHERE parked_error IS NULL"
        return {row[0] for row in self.store.rows(statement)}

    def exit_code(self) -> int | None:
        """The exit code of the newest process; None while it runs, or before the first start.

        For a process that a signal ended, the code is the negative number of that signal.
        """
        return self._process.poll() if self._process else None

    async def ended(self) -> int:
        """Wait until the process ends, and return its exit code."""
        while (code := self.exit_code()) is None:
            await asyncio.sleep(0.01)
        return code

    async def stop(self) -> None:
        """End the process at the end of a test: send SIGTERM, then SIGKILL if SIGTERM is too slow.

        Does nothing if the process does not run.
        """
        if self._process is not None and self.exit_code() is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await self.terminate()
            await self.kill()

    async def kill(self) -> None:
        """Send SIGKILL, and wait until the process has ended. Does nothing if it does not run."""
        self.end()

    def end(self) -> None:
        """Do the same as ``kill``, from code that is not async."""
        if self._process is not None and self.exit_code() is None:
            self._process.kill()
            self._process.wait()
            self._was_ended = True
            self._log.note("killed")

    async def terminate(self) -> int:
        """Send SIGTERM, wait until the process has ended, and return its exit code."""
        assert self._process is not None, "start the bot first"  # noqa: S101
        self._process.terminate()
        self._was_ended = True
        self._log.note("stopped")
        return await self.ended()

    async def restart(self) -> None:
        """Kill the process if it runs, and start it again with the same data."""
        await self.kill()
        await self.start()

    async def advance(self, by: timedelta) -> None:
        """Set the bot's clocks forward. They stay set forward in later runs.

        A running bot whose log level is ``debug`` first handles all earlier events. Then the clocks
        are set forward, and the method waits until the bot has handled all expiries and deadlines
        that have passed. For any other bot, the method returns at once.
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
        """Whether the bot's log level is ``debug``, so that the log has the entries to wait for."""
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
        """The log entries of the current run, parsed from JSON. Other output is left out."""
        return self._log.of_this_life()
