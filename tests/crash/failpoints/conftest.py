"""Says at the end how large the table was, and fails the run if a point was left out of it."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from attrs import define, field

from tests.crash.failpoints import points
from tests.crash.failpoints.kinds import KINDS


@define
class Sum:
    """What all parts of the table that were run came to."""

    lines: list[str] = field(factory=list)
    reached: dict[str, set[str]] = field(factory=dict)
    cells: int = 0
    failed: int = 0
    survived: int = 0
    seconds: float = 0.0

    @property
    def left_out(self) -> list[str]:
        return sorted(set(points.names()).difference(*self.reached.values()))

    def add(self, properties: dict[str, Any]) -> None:
        name, part, cells, failed, seconds = properties["table"]
        survived = properties["not reached"]
        self.reached.setdefault(name, set()).update(dict(properties["reached"]))
        self.cells += cells
        self.failed += failed
        self.survived += len(survived)
        self.seconds += seconds
        told = f", not reached: {', '.join(survived)}" if survived else ""
        self.lines.append(f"{name} {part}: {cells} cells, {failed} failed, {seconds:.0f} s{told}")

    def __str__(self) -> str:
        pairs = sum(map(len, self.reached.values()))
        killed = self.cells - self.failed - self.survived
        return (
            f"failpoints: {len(points.names())} points by {len(self.reached)} kinds of event,"
            f" {pairs} pairs reached; {self.cells} cells run: {killed} killed and whole,"
            f" {self.failed} failed, {self.survived} not reached when killed for;"
            f" {self.seconds:.0f} s of work; points that no kind reached:"
            f" {', '.join(self.left_out) or 'none'}"
        )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    total = _sum(terminalreporter)
    if total.lines:
        for line in (*total.lines, str(total)):
            terminalreporter.write_line(line)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # a worker: what it ran is summed up where it was started
        return
    total = _sum(reporter)
    if total.reached.keys() == KINDS.keys() and total.left_out:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _sum(reporter: pytest.TerminalReporter) -> Sum:
    total = Sum()
    for properties in _properties(reporter.getreports("passed") + reporter.getreports("failed")):
        total.add(properties)
    return total


def _properties(reports: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for report in reports:
        properties = dict(getattr(report, "user_properties", ()))
        if getattr(report, "when", None) == "call" and "table" in properties:
            yield properties
