import os
from collections.abc import AsyncIterator, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import structlog
from coverage import Coverage

from strandline.testing import Synapse
from tests.support.setup import Setup

LONG = (
    "tests/docs/test_howtos.py::test_the_code_*test-kills*",
    "tests/e2e/test_backlog.py::test_a_burst_*",
    "tests/e2e/test_demo.py::test_a_signal_*<Hello!-2>",
    "tests/e2e/test_demo.py::test_the_end_of_the_input_*",
    "tests/docs/test_tutorial.py::test_every_step_*",
    "tests/unit/durable/store/test_sequence.py::*50 kills*",
    "tests/unit/examples/test_kill_everywhere.py::test_the_*_survives",
    "tests/e2e/test_http_agent.py::test_a_question_whose_bot_is_killed_*",
    "tests/e2e/test_homeserver_restart.py::*-300>",
    "tests/e2e/test_homeserver_restart.py::*invited to-*",
    "tests/e2e/test_homeserver_restart.py::*joined uninvited-*",
    *(
        f"tests/crash/failpoints/test_failpoints.py::*<{kind}-*"
        for kind in (
            "declined",
            "deadline",
            "first message",
            "first start",
            "forget",
            "gap",
            "half made",
            "held",
            "invite",
            "kicked",
            "load",
            "logged out",
            "new chat",
            "passed on",
            "poison",
            "replaced",
            "select",
            "staged file",
            "start",
            "yes",
        )
    ),
    "tests/crash/faults/test_every_fault.py::*<SQLITE_BUSY-*",
    "tests/crash/faults/test_every_fault.py::*<SQLITE_FULL-*",
    "tests/crash/faults/test_every_fault.py::*<reset after>",
    "tests/crash/faults/test_every_fault.py::*<truncated>",
    "tests/crash/faults/test_in_memory.py::test_a_disk_*",
    "tests/crash/faults/test_in_memory.py::*<429-*",
    "tests/crash/faults/test_in_memory.py::*<reset-*",
    "tests/crash/faults/test_sessions.py::*<500>",
    "tests/crash/faults/test_sessions.py::*<reset>",
    "tests/crash/faults/test_sessions.py::*<truncated>",
    "tests/crash/power/test_bot_power_loss.py::test_normal_is_found_*",
    "tests/crash/power/test_power_loss.py::*<1>",
    "tests/crash/soak/test_random_kills.py::*<60>",
    "tests/unit/matrix/outbound/test_markdown_fuzz.py::test_no_repeated_mark_*",
    "tests/unit/matrix/test_synapse.py::test_gaps_of_many_rooms_*",
    "tests/unit/matrix/test_synapse.py::*<150>",
    "tests/unit/strandline/testing/test_kit.py::test_a_homeserver_comes_back_*<stop>",
    "tests/unit/strandline/testing/test_plugin.py::test_flows_and_config_*",
    "tests/unit/strandline/testing/test_plugin.py::test_the_examples_of_the_reference_run",
    "tests/unit/strandline/testing/test_plugin.py::test_ctrl_c_*<xdist>",
    "tests/unit/strandline/testing/test_plugin.py::test_tests_are_run_however_*",
    "tests/unit/strandline/testing/test_plugin.py::test_workers_of_xdist_*",
    "tests/crash/walks/test_in_pytest.py::test_one_line_covers_a_flow",
    "tests/crash/walks/test_kill_everywhere.py::test_a_form_survives",
    "tests/crash/walks/test_kill_everywhere.py::test_an_answer_that_depends_*",
    "tests/crash/walks/test_kill_everywhere.py::test_an_end_of_time_*",
    "tests/crash/walks/test_own_flows.py::test_chats_*",
    "tests/crash/walks/test_own_flows.py::test_language_survives",
    "tests/crash/walks/test_own_flows.py::test_load_selection_survives",
    "tests/crash/walks/test_own_flows.py::test_room_routing_survives",
    "tests/crash/walks/test_own_flows.py::test_service_survives",
    "tests/crash/walks/test_own_flows.py::test_staging_survives",
    "tests/crash/walks/test_own_flows.py::test_user_routing_survives",
    "tests/crash/walks/test_own_flows.py::test_user_routing_to_one_agent_survives",
)
"""Tests that take long and seldom find what a shorter one of their kind does not: `make test-all`
runs them, `make test` does not. Patterns of their ids, with < and > for the brackets."""


REPEATING = (
    "tests/unit/durable/store/test_faults.py::*",
    "tests/unit/durable/store/test_model.py::*",
    "tests/unit/ephemeral/agents/test_the_suite_finds_what_is_wrong.py::*",
    "tests/unit/matrix/inbound/test_mutations.py::*",
    "tests/unit/matrix/outbound/test_markdown.py::*_is_encrypted<*",
    "tests/unit/matrix/outbound/test_markdown_fuzz.py::*",
    "tests/unit/strandline/authoring/test_linting.py::test_the_bots_own_flows_*",
    "tests/unit/strandline/config/test_config.py::*<deep>",
    "tests/unit/strandline/engine/test_lives.py::*",
)
"""Tests that run the same lines thousands of times: they are not measured, which would double the
time that they take. Patterns as in ``LONG``."""


COVERAGE = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
"""The variables that have a process measure its coverage from its start."""

MEASURES_ALL = "STRANDLINE_COVERAGE" in os.environ


def pytest_configure(config: pytest.Config) -> None:
    """Measure the workers alone; the processes that tests start only for `make coverage`."""
    _log_plain_tracebacks()
    if hasattr(config, "workerinput"):
        _leave_children_unmeasured()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Measure coverage only in unit tests that need no homeserver, and that repeat nothing.

    A measured test takes up to twice the time.
    """
    measuring = Coverage.current()
    if measuring is None or MEASURES_ALL or _is_measured(item):
        return (yield)
    measuring.stop()
    try:
        return (yield)
    finally:
        measuring.start()
        _leave_children_unmeasured()


def _leave_children_unmeasured() -> None:
    """Remove what coverage has put into the environment, at its start and at each further one."""
    if not MEASURES_ALL:
        for name in COVERAGE:
            os.environ.pop(name, None)


def _log_plain_tracebacks() -> None:
    """structlog's default draws all local variables too, which takes more than a second."""
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, plain])


def _is_measured(item: pytest.Item) -> bool:
    needs_homeserver = item.get_closest_marker("homeserver") is not None
    is_unit_test = item.nodeid.startswith("tests/unit/")
    return is_unit_test and not needs_homeserver and not _matches(item, REPEATING)


def _matches(item: pytest.Item, patterns: tuple[str, ...]) -> bool:
    name = item.nodeid.replace("[", "<").replace("]", ">")
    return any(fnmatchcase(name, pattern) for pattern in patterns)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _matches(item, LONG):
            item.add_marker("long")
    # tests with a homeserver take longest: they begin
    items.sort(key=lambda item: item.get_closest_marker("homeserver") is None)


@pytest.fixture
async def setup(synapse: Synapse, tmp_path: Path) -> AsyncIterator[Setup]:
    async with Setup(synapse, tmp_path) as setup:
        yield setup
