import os
from collections.abc import AsyncIterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from strandline.testing import Synapse
from tests.support.setup import Setup

LONG = (
    "tests/docs/test_howtos.py::test_the_code_*test-kills*",
    "tests/docs/test_tutorial.py::test_every_step_*",
    "tests/unit/durable/store/test_sequence.py::*50 kills*",
    "tests/unit/examples/test_kill_everywhere.py::test_the_*_survives",
    "tests/e2e/test_homeserver_restart.py::*-300>",
    "tests/e2e/test_homeserver_restart.py::*invited to-*",
    *(
        f"tests/crash/failpoints/test_failpoints.py::*<{kind}-*"
        for kind in (
            "declined",
            "deadline",
            "first message",
            "first start",
            "forget",
            "half made",
            "held",
            "kicked",
            "load",
            "logged out",
            "new chat",
            "passed on",
            "poison",
            "replaced",
            "select",
            "staged file",
        )
    ),
    "tests/crash/faults/test_every_fault.py::*<SQLITE_BUSY-*",
    "tests/crash/faults/test_every_fault.py::*<reset after>",
    "tests/crash/faults/test_every_fault.py::*<truncated>",
    "tests/crash/faults/test_in_memory.py::test_a_disk_*",
    "tests/crash/faults/test_in_memory.py::*<reset-*",
    "tests/crash/faults/test_sessions.py::*<500>",
    "tests/crash/faults/test_sessions.py::*<reset>",
    "tests/crash/faults/test_sessions.py::*<truncated>",
    "tests/crash/power/test_bot_power_loss.py::test_normal_is_found_*",
    "tests/crash/power/test_power_loss.py::*<1>",
    "tests/crash/soak/test_random_kills.py::*<60>",
    "tests/unit/strandline/testing/test_plugin.py::test_the_examples_of_the_reference_run",
    "tests/unit/strandline/testing/test_plugin.py::test_ctrl_c_*<xdist>",
    "tests/unit/strandline/testing/test_plugin.py::test_tests_are_run_however_*",
    "tests/unit/strandline/testing/test_plugin.py::test_workers_of_xdist_*",
    "tests/crash/walks/test_in_pytest.py::test_one_line_covers_a_flow",
    "tests/crash/walks/test_kill_everywhere.py::test_a_form_survives",
    "tests/crash/walks/test_kill_everywhere.py::test_an_end_of_time_*",
    "tests/crash/walks/test_own_flows.py::test_chats_*",
    "tests/crash/walks/test_own_flows.py::test_load_selection_survives",
    "tests/crash/walks/test_own_flows.py::test_room_routing_survives",
    "tests/crash/walks/test_own_flows.py::test_service_survives",
    "tests/crash/walks/test_own_flows.py::test_user_routing_to_one_agent_survives",
)
"""Tests that take long and seldom find what a shorter one of their kind does not: `make test-all`
runs them, `make test` does not. Patterns of their ids, with < and > for the brackets."""


COVERAGE = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
"""The variables that have a process measure its coverage from its start."""


def pytest_configure(config: pytest.Config) -> None:
    """Measure the workers alone; the processes that tests start only for `make coverage`."""
    if hasattr(config, "workerinput") and "STRANDLINE_COVERAGE" not in os.environ:
        for name in COVERAGE:
            os.environ.pop(name, None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        name = item.nodeid.replace("[", "<").replace("]", ">")
        if any(fnmatchcase(name, pattern) for pattern in LONG):
            item.add_marker("long")


@pytest.fixture
async def setup(synapse: Synapse, tmp_path: Path) -> AsyncIterator[Setup]:
    async with Setup(synapse, tmp_path) as setup:
        yield setup
