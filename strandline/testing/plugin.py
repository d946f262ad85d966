"""The pytest plugin: fixtures for a homeserver, a bot with a project's flows, and test users.

The plugin is installed with the package, and does nothing until a test requests one of its
fixtures. The fixtures are synchronous and use no event loop. A project's own async plugin runs the
project's tests. With pytest-asyncio, an ``async def`` test with one of these fixtures gets the
marker ``asyncio``, in strict mode too. Without an async plugin, this plugin runs the test.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fsm import StrandlineError
from strandline import testing
from strandline.testing.log import WALKED

if TYPE_CHECKING:
    from strandline.testing.setup import FlowOrPath

MARKER = "strandline"

FIXTURES = frozenset({"synapse", "strandline_setup", "bot", "person", "alice", "bob"})
"""An ``async def`` test that requests one of these fixtures is run by this plugin.

Tests that another plugin runs are left to it.
"""

_SETUP = pytest.StashKey["testing.BotSetup"]()


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker ``strandline`` with pytest."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(flows=[…], config={{…}}): what the bot of the test runs, besides its own flows "
        "and instead of its usual config",
    )


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pycollect_makeitem() -> Generator[None, Any, Any]:
    """Add the marker ``asyncio`` to async tests that use this plugin's fixtures.

    This happens before pytest-asyncio looks for that marker. Tests that another plugin runs get no
    marker.
    """
    made = yield
    for item in made if isinstance(made, list) else [made]:
        if not isinstance(item, pytest.Function) or not _is_ours(item) or _has_a_runner(item):
            continue
        if item.config.pluginmanager.hasplugin("asyncio"):
            item.add_marker("asyncio")
    return made


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test that uses this plugin's fixtures and that no other plugin runs.

    Returns:
        True if the test was run; None leaves the test to pytest and other plugins.
    """
    if not _is_ours(pyfuncitem) or _has_a_runner(pyfuncitem):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    given = {name: pyfuncitem.funcargs[name] for name in names if name in pyfuncitem.funcargs}
    asyncio.run(pyfuncitem.obj(**given))
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the rooms' messages, the transitions and the bot's log to the report of a failed test."""
    report = yield
    setup_ = item.stash.get(_SETUP, None)
    if setup_ is not None and report.failed and report.when != "teardown":
        report.sections += [(f"Strandline: {title}", text) for title, text in setup_.account()]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the result of each ``kill_everywhere`` test that passed, one line for each."""
    lines = [
        str(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, value in report.user_properties
        if name == WALKED
    ]
    if lines:
        terminalreporter.write_sep("=", "killed everywhere")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def synapse() -> Iterator[testing.Synapse]:
    """One running Synapse for the whole test run; with pytest-xdist, one for each worker."""
    with ExitStack() as stack:
        with _in_plain_words():
            homeserver = stack.enter_context(testing.Synapse())
        yield homeserver


@pytest.fixture
def strandline_flows() -> Sequence[FlowOrPath]:
    """The bot's flows in tests whose marker ``strandline`` names none. Override it in conftest.py.

    ``kill_everywhere`` runs them in addition to the flows that it is given.
    """
    return ()


@pytest.fixture
def strandline_config() -> Mapping[str, Any]:
    """The config sections of the bot that differ from the default. Override it in a conftest.py.

    The sections of a test's marker ``strandline`` win over these.
    """
    return {}


@pytest.fixture
def strandline_setup(
    request: pytest.FixtureRequest, synapse: testing.Synapse, tmp_path: Path
) -> Iterator[testing.BotSetup]:
    """Starts the bot and creates the users of this test; for fixtures of your own."""
    setup_ = testing.BotSetup(synapse, tmp_path / "bot")
    request.node.stash[_SETUP] = setup_
    try:
        yield setup_
    finally:
        setup_.end()


@pytest.fixture
def bot(
    request: pytest.FixtureRequest,
    strandline_setup: testing.BotSetup,
    strandline_flows: Sequence[FlowOrPath],
    strandline_config: Mapping[str, Any],
) -> testing.BotProcess:
    """A running bot with the flows that the test's marker names, else with ``strandline_flows``."""
    flows, configs = strandline_flows, [strandline_config]
    for marker in reversed(list(request.node.iter_markers(MARKER))):
        if marker.args or marker.kwargs.keys() - {"flows", "config"}:
            pytest.fail(f"the marker {MARKER} takes flows= and config=, no more", pytrace=False)
        flows = marker.kwargs.get("flows", flows)
        configs.append(marker.kwargs.get("config", {}))
    with _in_plain_words():
        return strandline_setup.bot(flows, configs, rootdir=request.config.rootpath)


@pytest.fixture
def person(
    strandline_setup: testing.BotSetup, bot: testing.BotProcess
) -> Callable[[str], testing.User]:
    """A function that creates the test user with a name, such as ``person("carol")``.

    Another call with the same name returns the same user.
    """
    return lambda name: strandline_setup.person(name, bot)


@pytest.fixture
def alice(person: Callable[[str], testing.User]) -> testing.User:
    """A test user named alice."""
    return person("alice")


@pytest.fixture
def bob(person: Callable[[str], testing.User]) -> testing.User:
    """A test user named bob."""
    return person("bob")


def _is_ours(item: pytest.Function) -> bool:
    uses = FIXTURES.intersection(item.fixturenames)
    return bool(uses) and inspect.iscoroutinefunction(item.obj)


def _has_a_runner(item: pytest.Function) -> bool:
    """Whether anyio or pytest-asyncio runs the test, because of its marker or fixture."""
    has, marker = item.config.pluginmanager.hasplugin, item.get_closest_marker
    by_anyio = marker("anyio") is not None or "anyio_backend" in item.fixturenames
    return (has("anyio") and by_anyio) or (has("asyncio") and marker("asyncio") is not None)


@contextmanager
def _in_plain_words() -> Iterator[None]:
    """Turn a ``StrandlineError`` of the body into a test failure that shows no traceback."""
    try:
        yield
    except StrandlineError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
