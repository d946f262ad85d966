"""Reads the log file of a bot, with the output of all its runs, and notes what the test did."""

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
"""The pytest user property with the result of a ``kill_everywhere`` test, as one line of text."""

TEST = "test"
"""The ``level`` of a note of what the test did: ``started``, ``stopped``, ``killed``, ``advanced``.

Bots do not use this level.
"""

OUTPUT = "output"
"""The ``level`` of output lines that are not JSON log entries, such as those of a traceback."""

Line = dict[str, Any]
"""One entry of the log, with at least the keys ``event``, ``level`` and ``timestamp``."""


@define
class BotLog:
    """Reads the log file of a bot whose log format is ``json``, and keeps the notes of the test.

    Each complete line is parsed only once. Notes are kept in memory, not in the file.
    """

    path: Path
    _life_begins: int = field(default=0, init=False)
    _notes: list[tuple[int, Line]] = field(factory=list, init=False)
    _read: list[tuple[int, Line]] = field(factory=list, init=False)
    _position: int = field(default=0, init=False)

    def begin_life(self) -> None:
        """Note that a new run of the bot begins: lines written from now on belong to that run."""
        self._read = self._written().copy()  # a line that a kill has cut off ends here
        self._life_begins = self._position = self._size()
        self.note("started")

    def note(self, event: str, **values: object) -> None:
        """Add a note of a test's action after all lines that the file has now.

        Args:
            event: The name of the action.
            values: Further keys of the note.
        """
        at = datetime.now(UTC).isoformat()
        self._notes.append(
            (self._size(), {"event": event, "level": TEST, "timestamp": at, **values})
        )

    def lines(self) -> list[Line]:
        """The output lines of all runs, and the notes, oldest first."""
        return [line for _, line in merge(self._notes, self._written(), key=itemgetter(0))]

    def of_this_life(self) -> list[Line]:
        """The log entries of the newest run, oldest first. Other output is left out."""
        written = self._written()
        begin = bisect_left(written, self._life_begins, key=itemgetter(0))
        return [line for _, line in written[begin:] if line["level"] != OUTPUT]

    def _written(self) -> list[tuple[int, Line]]:
        """All lines that are in the file now, each as its position in bytes and the parsed line.

        A last line without a line break is parsed too, and parsed again at the next call.
        """
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
    """The lines whose ``event`` is one of ``names``."""
    return [line for line in lines if line["event"] in names]
