"""The pytest plugin: a homeserver, a bot with the flows of a project, and people who talk to it.

Installed with the package, and idle until a test asks for one of its fixtures. The fixtures are
synchronous and bound to no event loop; tests are run by whatever runs a project's async tests. With
pytest-asyncio, an ``async def`` test that uses one of these fixtures is marked for it, whatever its
mode; where nothing else runs it, it is run here.
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
"""A test that uses one of these is one of ours."""

_SETUP = pytest.StashKey["testing.BotSetup"]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(flows=[…], config={{…}}): what the bot of the test runs, besides its own flows "
        "and instead of its usual config",
    )


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pycollect_makeitem() -> Generator[None, Any, Any]:
    """Mark the async tests that use the fixtures, before pytest-asyncio looks for its marker."""
    made = yield
    for item in made if isinstance(made, list) else [made]:
        if not isinstance(item, pytest.Function) or not _is_ours(item) or _has_a_runner(item):
            continue
        if item.config.pluginmanager.hasplugin("asyncio"):
            item.add_marker("asyncio")
    return made


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test that nothing else runs."""
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
    """Tell of a test that failed what happened in it."""
    report = yield
    setup_ = item.stash.get(_SETUP, None)
    if setup_ is not None and report.failed and report.when != "teardown":
        report.sections += [(f"Strandline: {title}", text) for title, text in setup_.account()]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was walked, a line for each flow."""
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
    """A Synapse for the whole run; with pytest-xdist, one for each worker."""
    with ExitStack() as stack:
        with _in_plain_words():
            homeserver = stack.enter_context(testing.Synapse())
        yield homeserver


@pytest.fixture
def strandline_flows() -> Sequence[FlowOrPath]:
    """The flows of the bot, where no marker names them. Override it in a conftest.py."""
    return ()


@pytest.fixture
def strandline_config() -> Mapping[str, Any]:
    """What the bot's config has otherwise than usual. Override it in a conftest.py."""
    return {}


@pytest.fixture
def strandline_setup(
    request: pytest.FixtureRequest, synapse: testing.Synapse, tmp_path: Path
) -> Iterator[testing.BotSetup]:
    """The bot and the people of this test; for fixtures of one's own."""
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
    """A bot that runs the flows of the test's marker, or of ``strandline_flows``."""
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
    """``person("carol")``: somebody who talks to the bot."""
    return lambda name: strandline_setup.person(name, bot)


@pytest.fixture
def alice(person: Callable[[str], testing.User]) -> testing.User:
    """Somebody who talks to the bot."""
    return person("alice")


@pytest.fixture
def bob(person: Callable[[str], testing.User]) -> testing.User:
    """Somebody else who talks to the bot."""
    return person("bob")


def _is_ours(item: pytest.Function) -> bool:
    uses = FIXTURES.intersection(item.fixturenames)
    return bool(uses) and inspect.iscoroutinefunction(item.obj)


def _has_a_runner(item: pytest.Function) -> bool:
    """Another plugin's marker, or fixture, says that it runs the test."""
    has, marker = item.config.pluginmanager.hasplugin, item.get_closest_marker
    by_anyio = marker("anyio") is not None or "anyio_backend" in item.fixturenames
    return (has("anyio") and by_anyio) or (has("asyncio") and marker("asyncio") is not None)


@contextmanager
def _in_plain_words() -> Iterator[None]:
    """What keeps a fixture from starting is told without a traceback."""
    try:
        yield
    except StrandlineError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
