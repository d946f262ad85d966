"""All that is wrong with flows, at once, each with its source line."""

import ast
import inspect
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from attrs import frozen, has

from durable.codec import why_not_kept
from fsm import Flow, State
from fsm.collisions import collisions
from fsm.events import Event
from fsm.findings import Finding, Flawed, Severity, collecting
from strandline.discovery import NotFound, importing
from strandline.flows import FLOWS


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
        NotFound: A target can't be imported.
    """
    with collecting() as flawed:
        modules = [module for target in targets for module in _modules(target)]
    flows = [flow for module in modules for flow in _flows_of(module)] if targets else list(FLOWS)
    flawed += [each for flow in flows for each in _further(flow, _mentioned(flow))]
    checked = [*FLOWS, *(flow for flow in flows if flow not in FLOWS)]
    flawed += [Flawed(flow, finding) for flow, finding in collisions(checked) if flow in flows]
    told = [Told(*_place(each), each.finding) for each in flawed]
    return sorted(told, key=lambda each: (str(each.path), each.line, each.finding.code))


def _modules(target: str) -> Iterator[ModuleType]:
    path = Path(target)
    name = target.partition(":")[0]
    if path.suffix == ".py" or path.is_dir():
        if not path.exists():
            raise NotFound(target, "is no file; mend the path")
        root, name = _importable(path.absolute())
        if str(root) not in sys.path:
            sys.path.insert(0, str(root))
    with importing(target):
        module = import_module(name)
        yield module
        for child in _children(module):
            yield import_module(child)


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


def _further(flow: type[Flow], mentioned: frozenset[str]) -> Iterator[Flawed]:
    """What can be told only of a flow that stands."""
    for state in flow.states.values():
        yield from _kept(flow, state)
    for event in flow.events.values():
        yield from _caused(flow, event, mentioned)


def _kept(flow: type[Flow], state: State) -> Iterator[Flawed]:
    if state.record is None or not has(state.record):
        return
    problem = why_not_kept(state.record)
    if problem is not None:
        finding = Finding(
            code="SL201",
            flow=flow.__name__,
            where=state.name,
            problem=f"its record {state.record.__name__} can't be read back: {problem}",
            remedy="give its fields types that JSON has, or attrs classes, enums or datetimes",
        )
        yield Flawed(flow, finding)


def _caused(flow: type[Flow], event: Event, mentioned: frozenset[str]) -> Iterator[Flawed]:
    takes_all = event.text is True and event.guard is None and _is_at_idle(event)
    if takes_all and flow.kept_as is None:
        finding = Finding(
            code="SL202",
            flow=flow.__name__,
            where=event.name,
            problem="at idle it takes every message that is no command: none reaches an agent",
            remedy="give it a guard or a regular expression, or begin with a command",
            severity=Severity.WARNING,
        )
        yield Flawed(flow, finding)
    if not _has_cause(event) and not mentioned & {event.name, event.signal}:
        finding = Finding(
            code="SL203",
            flow=flow.__name__,
            where=event.name,
            problem="nothing causes it: no command, text or the like, and no turn triggers it",
            remedy=f"give it a cause, or a turn.trigger({flow.__name__}.{event.name}), or drop it",
            severity=Severity.WARNING,
        )
        yield Flawed(flow, finding)


def _is_at_idle(event: Event) -> bool:
    return any(state.initial for state in event.sources)


def _has_cause(event: Event) -> bool:
    return bool(
        event.command
        or event.text
        or event.reaction
        or event.answer
        or event.attachment
        or event.expiry
        or event.kind
    )


def _mentioned(flow: type[Flow]) -> frozenset[str]:
    """What the sources beside the flow name: attributes, and texts."""
    names: set[str] = set()
    for path in _sources_beside(flow):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                names.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                names.add(node.value)
    return frozenset(names)


def _sources_beside(flow: type[Flow]) -> Iterator[Path]:
    top = flow.__module__.partition(".")[0]
    own = ("fsm", "durable", "ephemeral", "strandline")
    for name in own if top in own else (top,):
        spec = find_spec(name)
        if spec is None:
            continue
        for folder in spec.submodule_search_locations or ():
            yield from Path(folder).rglob("*.py")
        if not spec.submodule_search_locations and spec.origin is not None:
            yield Path(spec.origin)


def _place(flawed: Flawed) -> tuple[Path, int]:
    """The line of the name that the finding is about; that of the class, if it has none."""
    path = Path(inspect.getsourcefile(flawed.cls) or "")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: ast.ClassDef | None = None
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == flawed.cls.__name__:
            found = node
    if found is None:
        return path, 1
    for statement in found.body:
        if flawed.finding.where in _names_of(statement):
            return path, statement.lineno
    return path, found.lineno


def _names_of(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return [name]
        case _:
            return []
