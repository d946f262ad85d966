"""All that is wrong with flows, at once, each with its source line."""

import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

from attrs import frozen

from fsm import Flow
from fsm.collisions import collisions
from fsm.findings import Finding, Flawed, collecting
from strandline.discovery import NotFound, can_import_from, importing, place_of
from strandline.flows import FLOWS
from strandline.rules import Rules
from strandline.sources import Sources, beside


@frozen
class Told:
    """A finding, and where in the source it is.

    Args:
        path: The file.
        line: From 1.
        finding: What is wrong there.
    """

    path: Path
    line: int
    finding: Finding


def lint(targets: Sequence[str]) -> list[Told]:
    """What is wrong with the flows of these modules, in the order of files and lines.

    Args:
        targets: Modules (``package.module``), flows in them (``package.module:Class``), packages
            with all their modules, or paths of files and folders; none for the bot's own flows.

    Raises:
        NotFound: There is no such target.
    """
    sources = Sources()
    told: list[Told] = []
    with collecting() as flawed:
        found = [each for target in targets for each in _found(target, told)]
    flows = list(dict.fromkeys(flow for each in found for flow in each)) if targets else FLOWS
    linted = [Path(str(sys.modules[flow.__module__].__file__)) for flow in flows]
    for flow in flows:
        mentioned = sources.mentioned(dict.fromkeys((*linted, *beside(flow.__module__))))
        flawed += [Flawed(flow, each) for each in Rules(flow, sources, mentioned).findings()]
    checked = [*FLOWS, *(flow for flow in flows if flow not in FLOWS)]
    flawed += [Flawed(flow, finding) for flow, finding in collisions(checked) if flow in flows]
    told += [Told(*sources.line(each.cls, each.finding.where), each.finding) for each in flawed]
    return sorted(told, key=lambda each: (str(each.path), each.line, each.finding.code))


def _found(target: str, told: list[Told]) -> Iterator[list[type[Flow]]]:
    """The flows of each module of a target; what is raised by its import is told."""
    path = Path(target)
    name, _, flow = target.partition(":")
    if path.suffix == ".py" or path.is_dir():
        if not path.exists():
            raise NotFound(target, "is no file; mend the path")
        root, name = _importable(path.absolute())
        can_import_from(root)
        flow = ""
    module = _imported(name, target, told)
    if module is None:
        return
    yield [each for each in _flows_of(module) if flow in ("", each.__qualname__)]
    for child in _children(module) if not flow else ():
        inner = _imported(child, target, told)
        yield _flows_of(inner) if inner is not None else []


def _imported(name: str, target: str, told: list[Told]) -> ModuleType | None:
    try:
        with importing(target):
            return import_module(name)
    except NotFound as error:
        place = place_of(error.__cause__) if error.__cause__ is not None else None
        if place is None:
            raise
        told.append(Told(*place, _not_imported(name, error)))
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


def _importable(path: Path) -> tuple[Path, str]:
    """The folder from which a file or package is imported, and its name there."""
    parts = [path.stem if path.suffix == ".py" else path.name]
    folder = path.parent
    while (folder / "__init__.py").exists():
        parts.append(folder.name)
        folder = folder.parent
    return folder, ".".join(reversed(parts)).removesuffix(".__init__")


def _children(module: ModuleType) -> Iterator[str]:
    """The modules of a package, those of its packages too, but not its tests."""
    for folder in getattr(module, "__path__", ()):
        for file in sorted(Path(folder).rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            is_test = any(part.startswith("test") or part == "conftest" for part in parts)
            if parts[-1] not in ("__init__", "__main__") and not is_test:
                yield ".".join((module.__name__, *parts))


def _flows_of(module: ModuleType) -> list[type[Flow]]:
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        if issubclass(value, Flow) and value is not Flow and value.__module__ == module.__name__
    ]
