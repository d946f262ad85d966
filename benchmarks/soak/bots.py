"""The bot under test, as a process that writes what it measures of itself to its log."""

import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from attrs import define

from benchmarks.soak.settings import Settings
from fsm.values.ids import EventId
from strandline.testing import BotProcess, Person
from strandline.testing.bot import config_for
from strandline.testing.homeserver import Credentials
from strandline.testing.processes import start_module

MODULES = {"strandline": ("strandline", ["run"]), "nio": ("benchmarks.plain_nio_bot", [])}


@define
class Life:
    """One life of the process, in wall-clock milliseconds."""

    started_ms: float
    ended_ms: float | None = None
    ready_ms: float | None = None

    @property
    def recovery_ms(self) -> float | None:
        return None if self.ready_ms is None else self.ready_ms - self.started_ms


@define
class Size:
    """What the bot takes: memory, and database with its write-ahead log."""

    when: str
    rss_kb: int
    database_kb: int

    def __str__(self) -> str:
        return f"{self.when}: RSS {self.rss_kb / 1024:.1f} MB, database {self.database_kb} kB"


class SoakedBot(BotProcess):
    """A bot that is started and killed over and over."""

    def __init__(self, kind: str, directory: Path, config: dict[str, Any]) -> None:
        super().__init__(directory, config)
        self._module, self._arguments = MODULES[kind]
        self.lives: list[Life] = []

    def launch(self) -> None:
        self.lives.append(Life(time.time() * 1000))
        super().launch()

    def _spawn(self, config_path: Path) -> subprocess.Popen[bytes]:
        # a child that is to be killed measures no coverage, and starts quicker without
        environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
        return start_module(
            self._module,
            [*self._arguments, "--config", str(config_path)],
            output=self.log_path,
            directory=self.directory,
            environment=environment,
        )

    async def kill(self) -> None:
        await super().kill()
        if self.lives and self.lives[-1].ended_ms is None:
            self.lives[-1].ended_ms = time.time() * 1000
            self.note_ready()

    def note_ready(self) -> None:
        """Look in the log when this life said that it was ready."""
        for line in self.log_lines():
            if line.get("event") == "ready":
                at = datetime.fromisoformat(line["timestamp"])
                self.lives[-1].ready_ms = at.timestamp() * 1000
                return

    @property
    def start_seconds(self) -> float:
        """How long a start takes just now: the median of the latest that were not cut off."""
        latest = [ms for life in self.lives if (ms := life.recovery_ms) is not None][-9:]
        return median(latest) / 1000 if latest else 1.0

    @property
    def is_grown(self) -> bool:
        """Whether this life is old enough to have its full size."""
        return time.time() * 1000 - self.lives[-1].started_ms > 1500

    def size(self, when: str) -> Size:
        status = Path(f"/proc/{self.pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        rss = next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)
        files = self.database.parent.glob(f"{self.database.name}*")
        return Size(when, rss, sum(f.stat().st_size for f in files) // 1024)

    def bound(self) -> dict[str, str]:
        """Room → platform chat, as the database has it."""
        if not self.database.exists():
            return {}
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as db:
            rows = db.execute("SELECT key, value FROM kv WHERE key LIKE 'matrix_room:%'").fetchall()
        records = {key.removeprefix("matrix_room:"): json.loads(value) for key, value in rows}
        return {
            room: record["platform_chat_id"]
            for room, record in records.items()
            if record["platform_chat_id"] is not None
        }

    def handled(self, event_ids: Iterable[EventId]) -> set[EventId]:
        """Those of the events that are answered, or will be with no further look at them."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as db:
            rows = db.execute(
                "WITH asked AS (SELECT value FROM json_each(?))"
                " SELECT event_id FROM handled WHERE event_id IN asked"
                " UNION SELECT event_id FROM parked WHERE event_id IN asked",
                (json.dumps(list(event_ids)),),
            ).fetchall()
        return {EventId(event_id) for (event_id,) in rows}

    def owes(self) -> int:
        """How much is to leave yet."""
        if not self.database.exists():
            return 0
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as db:
            (rows,) = db.execute(
                "SELECT count(*) FROM outbox WHERE parked_error IS NULL"
            ).fetchone()
        return int(rows)

    def account(self, url: str) -> Person:
        """Its account, for the eyes of the driver."""
        session = json.loads((self.database.parent / "matrix_store" / "session.json").read_text())
        credentials = Credentials(
            user_id=self.user_id,
            password="",
            access_token=session["access_token"],
            device_id=session["device_id"],
        )
        return Person(url, credentials)

    def log_around(
        self, at_ms: int, about: str, *, before_ms: int = 2000, after_ms: int = 15000
    ) -> str:
        """What the bot logged around an instant, of details those ``about`` one event."""
        found = []
        for text in self.log_path.read_text(errors="replace").splitlines():
            try:
                line = json.loads(text)
                logged = datetime.fromisoformat(line["timestamp"]).timestamp() * 1000
            except (ValueError, KeyError, TypeError):
                continue
            is_near = at_ms - before_ms < logged < at_ms + after_ms
            if about in text or (is_near and line.get("level") != "debug"):
                found.append(f"  {logged:.0f} {text[:400]}")
        return "\n".join(found[:40])


def make_bot(settings: Settings, url: str, credentials: Credentials, directory: Path) -> SoakedBot:
    """The bot that the settings name, with an agent that answers at once and one that streams."""
    quick: dict[str, Any] = {
        "id": "agent-1",
        "name": "Agent 1",
        "kind": "echo",
        "options": {"delay_seconds": settings.work_seconds},
    }
    streams = {"chunks": 3, "chunk_seconds": 0.1, "delay_seconds": 0.1}
    agents = [quick, {**quick, "id": "agent-2", "name": "Agent 2", "options": streams}]
    config = config_for(
        url,
        credentials,
        agents=agents if settings.mixed else [quick],
        limits={"edit_seconds": 0.2},
        log={"format": "json", "level": "debug"},  # it names each message that is done
        rooms={"onboarding": settings.onboarding, "respond_to": "everyone"},
    )
    return SoakedBot(settings.bot, directory / "bot", config)
