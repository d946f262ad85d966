"""Reads the transitions of conversations from the bot's log while the bot writes the log."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from attrs import define, field, frozen

from fsm.values.ids import EventId
from strandline.testing.log import Line

LOOK_SECONDS = 0.02

HANDLED = ("turn done", "passed over")
"""The ``event`` values of log entries that say that an inbound event is completely handled."""


@frozen
class LoggedTransition:
    """One transition of a conversation, read from the log.

    Args:
        flow: The flow's name.
        key: The key of the conversation among those of the flow.
        by: The name of the event that caused the transition.
        source: The state before the transition.
        target: The state after the transition.
        event_id: The id of the inbound event whose turn made the transition.
    """

    flow: str
    key: str
    by: str
    source: str
    target: str
    event_id: EventId

    def __str__(self) -> str:
        return f"{self.source} --{self.by}--> {self.target}"


@define(eq=False)
class TransitionLog:
    """Reads the log of one bot, with all its runs.

    Attributes:
        path: The log file.
        moves: The transitions of each conversation, by the flow's name and the conversation's key.
        handled: The ids of inbound events that are completely handled.
        failed: The errors that handlers raised, by the id of the inbound event.
        count: The number of log entries read so far.
    """

    path: Path
    moves: dict[tuple[str, str], list[LoggedTransition]] = field(factory=lambda: defaultdict(list))
    handled: set[str] = field(factory=set)
    failed: dict[str, str] = field(factory=dict)
    count: int = 0
    _read: int = 0
    _looked: float = 0.0

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Read the log until the condition is true.

        Args:
            condition: Called after each reading; returns whether the wait is over.
            seconds: The maximum wait.

        Returns:
            Whether the condition became true in time.
        """
        end = asyncio.get_running_loop().time() + seconds
        while True:
            self.read()
            if condition():
                return True
            if asyncio.get_running_loop().time() > end:
                return False
            await asyncio.sleep(LOOK_SECONDS)

    def read(self) -> None:
        """Read the new lines of the log.

        Does nothing within ``LOOK_SECONDS / 2`` after the last reading.
        """
        now = time.monotonic()
        if now < self._looked + LOOK_SECONDS / 2:
            return
        self._looked = now
        with self.path.open("rb") as log:
            log.seek(self._read)
            new = log.read()
        whole, newline, _rest = new.rpartition(b"\n")
        self._read += len(whole) + len(newline)
        for raw in whole.splitlines():
            try:
                line = json.loads(raw)
            except ValueError:
                continue
            if isinstance(line, dict):
                self._take(line)

    def _take(self, line: Line) -> None:
        self.count += 1
        event, event_id = line.get("event"), str(line.get("event_id", ""))
        if event == "moved":
            move = LoggedTransition(
                flow=line["flow"],
                key=line["key"],
                by=line["by"],
                source=line["source"],
                target=line["target"],
                event_id=EventId(event_id),
            )
            self.moves[move.flow, move.key].append(move)
        elif event in HANDLED:
            self.handled.add(event_id)
        elif event == "turn failed":
            self.failed[event_id] = str(line.get("exception", "")).strip().rpartition("\n")[2]
