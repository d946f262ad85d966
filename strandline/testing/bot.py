"""The bot as a separate process, which a test can kill and restart."""

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
"""The maximum time to finish what is in progress, on a busy machine."""

STOP_SECONDS = 5.0
"""How long a bot may take to stop before it is killed."""


def config_for(
    url: str, credentials: Credentials, *, agents: list[dict[str, Any]], **sections: object
) -> dict[str, Any]:
    """The config of a bot on this homeserver; ``sections`` are further top-level keys."""
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
    """A ``strandline run`` process with a directory of its own.

    Args:
        directory: The directory of its config, data and log.
        config: The content of ``config.yaml``.
        forked: Fork it, where possible, from a process that has imported Strandline, so that it
            starts faster. Nothing else is shared with other processes.
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
        """The file with its output, of all its runs."""
        return self._log.path

    @property
    def log(self) -> list[Line]:
        """The bot's log entries of all its runs, and the test's starts, kills and clock changes."""
        return self._log.lines()

    @property
    def database(self) -> Path:
        """The path of its ``lambda_matrix.db``."""
        return self.directory / "data" / "lambda_matrix.db"

    @property
    def store(self) -> BotStore:
        """The bot's database, for reading: each reading finds what is committed at that time."""
        return BotStore(self.database)

    @property
    def pid(self) -> int | None:
        """The process id, if it was started and not yet reaped."""
        return self._process.pid if self._process else None

    async def start(self, *, wait: bool = True) -> None:
        """Start the process with the current config, and wait until it is ready.

        Raises:
            KitError: The process ended, or was not ready in time.
        """
        self.launch()
        if wait:
            await self.ready()

    def launch(self) -> None:
        """Start the process with the current config, without waiting."""
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
        """Wait until the running process has logged that it is ready.

        Raises:
            KitError: The process ended, or was not ready in time.
        """
        while not self.is_ready():
            await asyncio.sleep(0.02)

    def is_ready(self) -> bool:
        """Whether the running process has logged that it is ready.

        Raises:
            KitError: The process ended before that, or took too long.
        """
        if events(self.log_lines(), "ready"):
            return True
        if self.exit_code() is not None or time.monotonic() > self._launched + READY_SECONDS:
            raise KitError("the bot did not get ready", last_lines(self.log_path))
        return False

    def must_run(self) -> None:
        """Raise if the process is not running.

        Raises:
            KitError: A test ended the process and did not start it again, or it ended by itself.
        """
        if self._was_ended:
            raise KitError("the bot was stopped; start it again: await bot.restart()")
        if (code := self.exit_code()) is not None:
            what = f"the bot ended by itself, with exit code {code}"
            raise KitError(what, last_lines(self.log_path))

    def hears(self, event_id: EventId) -> None:
        """Note an event that somebody sends: ``settled`` waits until the bot has handled it."""
        self._told.add(event_id)

    async def settled(self) -> None:
        """Wait until the bot has handled all noted events and nothing is pending.

        Its log level must be ``debug``.

        Raises:
            KitError: The process does not run, or takes too long.
        """
        until = time.monotonic() + SETTLE_SECONDS
        while left := self._told - self._handled() or self._owed():
            self.must_run()
            if time.monotonic() > until:
                what = f"the bot is not done with {', '.join(left)}"
                raise KitError(what, last_lines(self.log_path))
            await asyncio.sleep(0.02)

    def _handled(self) -> set[str]:
        """The ids of events that are handled according to the log."""
        return {line["event_id"] for line in events(self.log, "turn done", "passed over")}

    def _owed(self) -> set[str]:
        """The pending outbox rows: requests that the homeserver has not acknowledged."""
        statement = "SELECT transaction_id FROM outbox WHERE parked_error IS NULL"
        return {row[0] for row in self.store.rows(statement)}

    def exit_code(self) -> int | None:
        """The exit code (negative: the signal), or None while the process runs."""
        return self._process.poll() if self._process else None

    async def ended(self) -> int:
        """Wait until the process ends; return its exit code."""
        while (code := self.exit_code()) is None:
            await asyncio.sleep(0.01)
        return code

    async def stop(self) -> None:
        """Send SIGTERM, and SIGKILL if that takes too long: for the end of a test."""
        if self._process is not None and self.exit_code() is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await self.terminate()
            await self.kill()

    async def kill(self) -> None:
        """Send SIGKILL, and wait until the process has ended."""
        self.end()

    def end(self) -> None:
        """Kill the process without an event loop, and wait until it has ended."""
        if self._process is not None and self.exit_code() is None:
            self._process.kill()
            self._process.wait()
            self._was_ended = True
            self._log.note("killed")

    async def terminate(self) -> int:
        """Send SIGTERM, and wait for the exit code."""
        assert self._process is not None, "start the bot first"  # noqa: S101
        self._process.terminate()
        self._was_ended = True
        self._log.note("stopped")
        return await self.ended()

    async def restart(self) -> None:
        """Start the process again with the same data, after SIGKILL if it runs."""
        await self.kill()
        await self.start()

    async def advance(self, by: timedelta) -> None:
        """Set the bot's clocks forward, also for later restarts.

        If it runs with the log level ``debug``, this first waits until all earlier events are
        handled, and returns when the bot has handled all expiries and deadlines that have passed.
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
        """Whether its log level is ``debug``, so that a test can wait for log entries."""
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
        """The log entries of the current run, as JSON; other output is left out."""
        return self._log.of_this_life()
