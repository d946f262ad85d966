"""Finds all errors and warnings in flows at once, each with its source line."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from attrs import frozen

from fsm import Flow
from fsm.checks.collisions import collisions
from fsm.checks.findings import Finding, LintResult, collecting
from strandline.authoring.naming import unanswered_signals
from strandline.authoring.rules import Rules
from strandline.authoring.sources import Sources, package_files
from strandline.flows.builtin import FLOWS
from strandline.flows.discovery import (
    NotFound,
    can_import_from,
    find_flows,
    flow_at,
    importing,
    place_of,
)


@frozen
class LocatedFinding:
    """A finding with its source location.

    Args:
        path: The file.
        line: The line in the file, from 1.
        finding: The finding.
    """

    path: Path
    line: int
    finding: Finding


def lint(targets: Sequence[str], running: Sequence[str] | None = None) -> list[LocatedFinding]:
    """Check flows; return all findings, sorted by file and line.

    Args:
        targets: Modules (``package.module``), flows in them (``package.module:Class``), packages
            with all their modules, or paths of files and folders; if empty, the built-in flows.
        running: Those of ``targets`` that a bot's config names as its flows; None if no config is
            known.

    Raises:
        NotFound: A target does not exist, or has no flow in it.
    """
    sources = Sources()
    located: list[LocatedFinding] = []
    with collecting() as flawed:
        by_target = {target: list(_found(target, located)) for target in targets}
    found = [each for listed in by_target.values() for each in listed]
    for target, listed in by_target.items():
        if not any(listed) and not located and not flawed:
            raise NotFound(target, "has no flow in it; name what has")
    flows = list(dict.fromkeys(flow for each in found for flow in each)) if targets else FLOWS
    linted = [Path(str(sys.modules[flow.__module__].__file__)) for flow in flows]
    for flow in flows:
        mentioned = sources.mentioned(dict.fromkeys((*linted, *package_files(flow.__module__))))
        flawed += [LintResult(flow, each) for each in Rules(flow, sources, mentioned).findings()]
    checked = [*FLOWS, *(flow for flow in flows if flow not in FLOWS)]
    flawed += [LintResult(flow, finding) for flow, finding in collisions(checked) if flow in flows]
    flawed += [LintResult(*each) for each in _unanswered_signals(flows, running, by_target)]
    located += [
        LocatedFinding(*sources.line(each.cls, each.finding.where), each.finding) for each in flawed
    ]
    return sorted(set(located), key=lambda each: (str(each.path), each.line, each.finding.code))


def _unanswered_signals(
    flows: Sequence[type[Flow]],
    running: Sequence[str] | None,
    by_target: Mapping[str, list[list[type[Flow]]]],
) -> Iterator[tuple[type[Flow], Finding]]:
    """Yield a finding for each triggered signal that no flow answers, with the triggering flow.

    If a config is known, flows that its bot runs are checked against each other. For all other
    flows, a signal is accepted if any imported flow class answers it.

    Args:
        flows: The flows to check.
        running: The targets that the bot's config names; None if no config is known.
        by_target: For each target, the flows in each of its modules.
    """
    known = [*FLOWS, *flows]
    if running is None:
        yield from unanswered_signals(flows, known, are_all=False)
        return
    configured = [flow for target in running for each in by_target[target] for flow in each]
    installed = [each.flow for each in find_flows([])[0]]
    run = [*FLOWS, *configured, *installed]
    are_all = all(any(by_target[target]) for target in running)  # none failed to be imported
    yield from unanswered_signals([flow for flow in flows if flow in run], run, are_all=are_all)
    yield from unanswered_signals([flow for flow in flows if flow not in run], known, are_all=False)


def _found(target: str, located: list[LocatedFinding]) -> Iterator[list[type[Flow]]]:
    """Yield the flows of each module of a target, as one list for each module.

    An error in the code of an imported module is appended to ``located``; that module's list is
    empty.
    """
    path = Path(target)
    if path.suffix == ".py" or path.is_dir():
        for file in _files(path.absolute(), target):
            yield _flows_of(_imported(target, located, partial(_module_at, file)))
        return
    name, _, flow = target.partition(":")
    module = _imported(target, located, partial(import_module, name))
    if flow:
        yield [flow_at(target)] if module is not None else []
        return
    yield _flows_of(module)
    for child in _children(module):
        yield _flows_of(_imported(target, located, partial(import_module, child)))


def _imported(
    target: str, located: list[LocatedFinding], load: Callable[[], ModuleType]
) -> ModuleType | None:
    try:
        with importing(target):
            return load()
    except NotFound as error:
        place = place_of(error.__cause__) if error.__cause__ is not None else None
        if place is None:
            raise
        path = place[0]
        name = path.parent.name if path.stem == "__init__" else path.stem
        located.append(LocatedFinding(*place, _not_imported(name, error)))
        return None


def _not_imported(name: str, error: NotFound) -> Finding:
    cause = error.__cause__
    return Finding(
        code="SL001",
        flow=name,
        where="import",
        problem=f"{type(cause).__name__}: {' '.join(str(cause).split())}",
        remedy="mend it, and lint again: nothing is known of what comes after it",
    )


def _files(path: Path, target: str) -> list[Path]:
    """Return the file, or the files of a folder that may contain flows.

    Tests and installed packages in the folder are left out.

    Args:
        path: The absolute path of the file or folder.
        target: The path as the user gave it, for the error message.

    Raises:
        NotFound: There is no such file or folder.
    """
    if not path.exists():
        raise NotFound(target, "is no file; mend the path")
    return [path] if path.is_file() else [path / each for each in _with_flows(path)]


def _with_flows(folder: Path) -> Iterator[Path]:
    """Yield the Python files below a folder that contain the word ``Flow``, as relative paths.

    Tests, hidden folders and virtual environments are left out.
    """
    for file in sorted(folder.rglob("*.py")):
        relative = file.relative_to(folder)
        is_installed = any((folder / each / "pyvenv.cfg").exists() for each in relative.parents)
        is_left_out = is_installed or any(map(_is_no_source, relative.parts))
        if not is_left_out and b"Flow" in file.read_bytes():
            yield relative


def _is_no_source(part: str) -> bool:
    return part.startswith((".", "test_")) or part in (
        "test",
        "tests",
        "conftest.py",
        "__main__.py",
    )


def _module_at(file: Path) -> ModuleType:
    root, name = _importable(file)
    can_import_from(root)
    module = import_module(name)
    if module.__file__ is not None and Path(module.__file__) == file:
        return module
    # another folder has a module of this name, which has been imported before
    spec = spec_from_file_location("_".join((*file.parent.parts[1:], name)), file)
    assert spec is not None  # noqa: S101  # a file with a Python suffix has one
    assert spec.loader is not None  # noqa: S101
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _importable(path: Path) -> tuple[Path, str]:
    """Return the folder that must be in ``sys.path`` to import a file, and its module's name."""
    parts = [path.stem]
    folder = path.parent
    while (folder / "__init__.py").exists():
        parts.append(folder.name)
        folder = folder.parent
    return folder, ".".join(reversed(parts)).removesuffix(".__init__")


def _children(module: ModuleType | None) -> Iterator[str]:
    """Yield the names of the modules in a package and its subpackages that may contain flows.

    Nothing is yielded for a module that is no package, or for None.
    """
    if module is None:
        return
    for folder in getattr(module, "__path__", ()):
        for file in _with_flows(Path(folder)):
            parts = file.with_suffix("").parts
            if parts[-1] != "__init__":
                yield ".".join((module.__name__, *parts))
            elif parts[:-1]:
                yield ".".join((module.__name__, *parts[:-1]))


def _flows_of(module: ModuleType | None) -> list[type[Flow]]:
    if module is None:
        return []
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        if issubclass(value, Flow) and value is not Flow and value.__module__ == module.__name__
    ]
