"""The log file of a bot: the entries of all its runs, and notes of what the test did."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import define, field

WALKED = "strandline walked"
"""The property of a pytest report with the result of a walk."""

TEST = "test"
"""The level of notes of the test: ``started``, ``stopped``, ``killed``, ``advanced``."""

OUTPUT = "output"
"""The level of other output of the process, such as a traceback."""

Line = dict[str, Any]
"""One event of the log: at least ``event``, ``level`` and ``timestamp``."""


@define
class BotLog:
    """The log file of a bot whose config says ``format: json``."""

    path: Path
    _life_begins: int = field(default=0, init=False)
    _notes: list[tuple[int, Line]] = field(factory=list, init=False)

    def begin_life(self) -> None:
        """Start a new run: later lines belong to a new process."""
        self._life_begins = self._size()
        self.note("started")

    def note(self, event: str, **values: object) -> None:
        """Add a note of something that the test does, in order with the bot's own entries."""
        at = datetime.now(UTC).isoformat()
        self._notes.append(
            (self._size(), {"event": event, "level": TEST, "timestamp": at, **values})
        )

    def lines(self) -> list[Line]:
        """All entries and notes, oldest first."""
        notes, lines, position = list(self._notes), [], 0
        for raw in self._from(0).splitlines(keepends=True):
            while notes and notes[0][0] <= position:
                lines.append(notes.pop(0)[1])
            lines.append(_parsed(raw))
            position += len(raw)
        return lines + [note for _, note in notes]

    def of_this_life(self) -> list[Line]:
        """The entries of the newest process; other output is left out."""
        lines = map(_parsed, self._from(self._life_begins).splitlines())
        return [line for line in lines if line["level"] != OUTPUT]

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def _from(self, position: int) -> bytes:
        if not self.path.exists():
            return b""
        with self.path.open("rb") as file:
            file.seek(position)
            return file.read()


def _parsed(raw: bytes) -> Line:
    text = raw.decode(errors="replace").rstrip()
    try:
        line = json.loads(text)
    except ValueError:
        line = None
    if isinstance(line, dict) and "event" in line:
        return line
    return {"event": text, "level": OUTPUT, "timestamp": ""}


def events(lines: Iterable[Line], *names: str) -> list[Line]:
    """The lines with one of these event names."""
    return [line for line in lines if line["event"] in names]
