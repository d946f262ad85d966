"""Says at the end how much was struck, also by workers, whose own output nobody sees."""

from typing import Any

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports: list[Any] = [
        *terminalreporter.getreports("passed"),
        *terminalreporter.getreports("failed"),
    ]
    for report in reports:
        for name, value in getattr(report, "user_properties", ()):
            if name == "struck" and report.when == "call":
                terminalreporter.write_line(str(value))
