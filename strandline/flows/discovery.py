"""Finds flows and agent kinds by import path, or by entry points of installed distributions.

A distribution declares its flows in the entry point group ``strandline.flows``, and its agent kinds
in ``strandline.agents``. A config names further flows under ``flows:``.
"""

import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from attrs import frozen

from ephemeral.agents.api import AgentKind
from fsm import Flow, FlowError
from fsm.checks.collisions import collisions
from fsm.checks.findings import Severity
from fsm.errors import StrandlineError
from strandline.authoring.naming import unanswered_signals
from strandline.installation import pip_install

FLOW_GROUP = "strandline.flows"
AGENT_GROUP = "strandline.agents"

BUILT_IN = {
    "echo": EntryPoint("echo", "ephemeral.agents.echo:EchoAgent", AGENT_GROUP),
    "http": EntryPoint("http", "ephemeral.agents.http:HttpAgent", AGENT_GROUP),
    "openai": EntryPoint(
        "openai", "ephemeral.agents.openai.agent:OpenAiAgent [openai]", AGENT_GROUP
    ),
    "a2a": EntryPoint("a2a", "ephemeral.agents.a2a.agent:A2aAgent [a2a]", AGENT_GROUP),
}
"""The kinds of agent that come with Strandline. Each is imported when a config has it."""


@frozen(slots=False)
class NotFound(StrandlineError):
    """An import path or an entry point can't be used.

    Args:
        what: The import path or the entry point.
        problem: What is wrong and the remedy, as the rest of a sentence that begins with ``what``.
    """

    what: str
    problem: str

    def __str__(self) -> str:
        return f"{self.what!r} {self.problem}"


@frozen
class Found:
    """A flow class, and where it was named.

    Args:
        flow: The class.
        place: Its index in the config's list of flows; None if an installed distribution declares
            the class and the config does not name it.
    """

    flow: type[Flow]
    place: int | None


def flow_at(path: str) -> type[Flow]:
    """Import the flow class at ``package.module:Class`` and return it.

    Raises:
        NotFound: There is no such flow class, or the class can't be imported.
    """
    module, colon, name = path.partition(":")
    if not (module and colon and name):
        raise NotFound(path, "is no import path; write package.module:FlowClass")
    return _flow(path, _imported(path, module, name))


def can_import_from(folder: Path) -> None:
    """Add the folder to ``sys.path``, so that modules beside a config file can be imported."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def make_found(paths: Sequence[str]) -> list[Flow]:
    """Create an instance of each flow that the config and installed distributions name.

    Args:
        paths: The config's import paths.

    Raises:
        NotFound: A flow can't be used.
    """
    found, problems = find_flows(paths)
    for _place, problem in problems:
        raise problem
    return [_made(each.flow) for each in found]


def find_flows(paths: Sequence[str]) -> tuple[list[Found], list[tuple[int | None, NotFound]]]:
    """Import the flow classes that the config and installed distributions name.

    Args:
        paths: The config's import paths.

    Returns:
        The classes, and the errors. Each error has the index in ``paths`` that it belongs to, or
        None if it belongs to an installed distribution.
    """
    found: list[Found] = []
    problems: list[tuple[int | None, NotFound]] = []
    for place, load in _named(paths):
        try:
            flow = load()
        except NotFound as error:
            problems.append((place, error))
            continue
        if all(known.flow is not flow for known in found):
            # otherwise the config and a distribution both name it
            found.append(Found(flow, place))
    if not found:
        return found, problems
    from strandline.flows.builtin import FLOWS  # noqa: PLC0415  # most configs name no flow

    places = {each.flow: each.place for each in found}
    running = [*FLOWS, *places]
    named = unanswered_signals(
        places, running, are_all=not problems
    )  # a flow that can't be imported may have it
    for flow, finding in (*collisions(running), *named):
        if finding.severity is not Severity.ERROR:
            continue
        not_found = NotFound(_path(flow), f"{finding.where}: {finding.problem}; {finding.remedy}")
        problems.append((places[flow], not_found))
    return found, problems


@cache
def agent_kinds() -> Mapping[str, EntryPoint]:
    """All agent kinds by name, not loaded yet."""
    return {point.name: point for point in entry_points(group=AGENT_GROUP)} | BUILT_IN


def agent_kind(name: str) -> AgentKind:
    """Import the agent kind with this name and return it.

    Raises:
        KeyError: There is no such agent kind.
        NotFound: The class can't be imported or is no agent kind, or an extra that it needs is not
            installed.
    """
    kind = agent_kinds()[name]
    what = f"{AGENT_GROUP}: {name}: {kind.module}:{kind.attr}"
    try:
        loaded: Any = _imported(what, kind.module, kind.attr)
    except NotFound as error:
        if not kind.extras or not isinstance(error.__cause__, ModuleNotFoundError):
            raise
        extras = ",".join(kind.extras)
        install = f"pip install '{kind.dist.name}[{extras}]'" if kind.dist else pip_install(extras)
        missing = error.__cause__.name
        raise NotFound(what, f"needs {missing!r}, which is not installed; {install}") from error
    if not callable(loaded) or not hasattr(loaded, "Options"):
        problem = "is no kind of agent; it wants a class that takes an AgentEntry, with Options"
        raise NotFound(what, problem)
    made: AgentKind = loaded
    return made


def _made(flow: type[Flow]) -> Flow:
    try:
        return flow()
    except Exception as error:
        raise NotFound(_path(flow), f"can't be made: {_raised(error)}") from error


def _named(paths: Sequence[str]) -> Iterator[tuple[int | None, Any]]:
    for place, path in enumerate(paths):
        yield place, lambda path=path: flow_at(path)
    for point in sorted(entry_points(group=FLOW_GROUP), key=lambda point: point.name):
        what = f"{FLOW_GROUP}: {point.name}: {point.value}"
        yield (
            None,
            lambda what=what, point=point: _flow(what, _imported(what, point.module, point.attr)),
        )


def _flow(what: str, found: object) -> type[Flow]:
    if not isinstance(found, type) or not issubclass(found, Flow) or found is Flow:
        raise NotFound(what, "is no flow; name a class that is derived from strandline.Flow")
    needed = [
        name
        for name, parameter in signature(found).parameters.items()
        if parameter.default is Parameter.empty
        and parameter.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    ]
    if needed:
        problem = f"can't be made without {', '.join(needed)}; give each a default"
        raise NotFound(what, problem)
    return found


@contextmanager
def importing(what: str) -> Iterator[None]:
    """Convert every error of an import in the ``with`` block to one line for the operator.

    The line names the file and the line in the imported code, if they are known.

    Args:
        what: The import path, for the message.

    Raises:
        NotFound: The import failed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        path = what.rpartition(": ")[2].partition(":")[0]
        if error.name is not None and f"{path}.".startswith(f"{error.name}."):
            problem = (
                f"can't be imported: no module {error.name!r}; install it, or correct the path"
            )
            raise NotFound(what, problem) from error
        raise NotFound(what, f"can't be imported: {_raised(error)}") from error
    except FlowError as error:
        raise NotFound(what, f"can't be imported: {error}{_where(error)}") from error
    except (Exception, SystemExit) as error:
        raise NotFound(what, f"can't be imported: {_raised(error)}") from error


def _imported(what: str, module: str, name: str) -> object:
    with importing(what):
        found: object = import_module(module)
    for part in name.split("."):
        if not hasattr(found, part):
            problem = f"can't be imported: module {module!r} has no {name!r}; correct the path"
            raise NotFound(what, problem)
        found = getattr(found, part)
    return found


def _raised(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}{_where(error)}"


def _where(error: BaseException) -> str:
    place = place_of(error)
    return f" ({place[0]}:{place[1]})" if place else ""


def place_of(error: BaseException) -> tuple[Path, int] | None:
    """Return the file and line in other people's code at which the error was raised.

    That is the last place in the traceback outside of ``strandline``, ``fsm`` and the import
    system; None if there is no such place. For a ``SyntaxError``, it is the line with the invalid
    syntax.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return Path(error.filename), error.lineno or 1
    root = Path(__file__).parent.parent.parent
    ours = (root / "strandline", root / "fsm")
    theirs = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen")
        and not any(Path(frame.filename).is_relative_to(folder) for folder in ours)
        and "importlib" not in Path(frame.filename).parts
    ]
    return (Path(theirs[-1].filename), theirs[-1].lineno or 1) if theirs else None


def _path(flow: type[Flow]) -> str:
    return f"{flow.__module__}:{flow.__qualname__}"
