"""The log file of a bot: the entries of all its runs, and notes of what the test did."""

import json
from bisect import bisect_left
from collections.abc import Iterable
from datetime import UTC, datetime
from heapq import merge
from operator import itemgetter
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
    """The log file of a bot whose config says ``format: json``. Each line is parsed once."""

    path: Path
    _life_begins: int = field(default=0, init=False)
    _notes: list[tuple[int, Line]] = field(factory=list, init=False)
    _read: list[tuple[int, Line]] = field(factory=list, init=False)
    _position: int = field(default=0, init=False)

    def begin_life(self) -> None:
        """Start a new run: later lines belong to a new process."""
        self._read = self._written().copy()  # a line that a kill has cut off ends here
        self._life_begins = self._position = self._size()
        self.note("started")

    def note(self, event: str, **values: object) -> None:
        """Add a note of something that the test does, in order with the bot's own entries."""
        at = datetime.now(UTC).isoformat()
        self._notes.append(
            (self._size(), {"event": event, "level": TEST, "timestamp": at, **values})
        )

    def lines(self) -> list[Line]:
        """All entries and notes, oldest first."""
        return [line for _, line in merge(self._notes, self._written(), key=itemgetter(0))]

    def of_this_life(self) -> list[Line]:
        """The entries of the newest process; other output is left out."""
        written = self._written()
        begin = bisect_left(written, self._life_begins, key=itemgetter(0))
        return [line for _, line in written[begin:] if line["level"] != OUTPUT]

    def _written(self) -> list[tuple[int, Line]]:
        """What the processes have written, with each line's position in the file."""
        new = self._from(self._position)
        complete = new[: new.rfind(b"\n") + 1]
        for raw in complete.splitlines(keepends=True):
            self._read.append((self._position, _parsed(raw)))
            self._position += len(raw)
        rest = new[len(complete) :]
        return [*self._read, (self._position, _parsed(rest))] if rest else self._read

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
