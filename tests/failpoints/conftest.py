"""Says at the end how large the table was."""

from collections import Counter

import pytest

from tests.failpoints import points


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows: Counter[str] = Counter()
    reached: dict[str, Counter[str]] = {}
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        properties = dict(report.user_properties)
        if report.when != "call" or "table" not in properties:
            continue
        name, part, cells, failed, seconds = properties["table"]
        rows["cells"] += cells
        rows["failed"] += failed
        rows["seconds"] += round(seconds)
        skipped = properties["not reached"]
        rows["not reached"] += len(skipped)
        reached.setdefault(name, Counter()).update(dict(properties["reached"]))
        terminalreporter.write_line(
            f"{name} {part}: {cells} cells, {failed} failed, {seconds:.0f} s"
            f"{', not reached: ' if skipped else ''}{', '.join(skipped)}"
        )
    if reached:
        known = set(points.names())
        unreached = known - {point for kind in reached.values() for point in kind}
        terminalreporter.write_line(
            f"failpoints: {len(known)} points by {len(reached)} kinds, {rows['cells']} cells,"
            f" {rows['cells'] - rows['failed'] - rows['not reached']} killed and whole,"
            f" {rows['not reached']} not reached, {rows['failed']} failed,"
            f" {rows['seconds']} s of work; points that no kind reached:"
            f" {', '.join(sorted(unreached)) or 'none'}"
        )
