"""What is public: the names that three modules export, each with its place in the reference."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import strandline
import strandline.agents
import strandline.testing
from tests.docs.pages import blocks
from tests.support.reference import PAGES, ROOT, names_in

PUBLIC = (strandline, strandline.agents, strandline.testing)
PACKAGES = ("fsm", "durable", "ephemeral", "matrix", "strandline")

PAGES_FOR_AUTHORS = [
    ROOT / "README.md",
    ROOT / "docs" / "tutorial.md",
    *sorted((ROOT / "docs" / "howto").glob("*.md")),
    *sorted(PAGES.glob("*.md")),
]
TEMPLATES = ROOT / "strandline" / "authoring" / "templates" / "project"
CODE_FOR_AUTHORS = [
    *sorted((ROOT / "examples").glob("*.py")),
    *sorted((ROOT / "tests" / "unit" / "examples").glob("test_[!c]*.py")),  # but for the config's
    *sorted(TEMPLATES.rglob("*.py.txt")),
]

NOT_IMPORTED = {"strandline.authoring.sphinx", "strandline.flows"}
"""An extension in the config of Sphinx, and a group of entry points."""

by_name = pytest.mark.parametrize("module", PUBLIC, ids=lambda module: module.__name__)


def described() -> set[str]:
    """The import paths that the reference describes."""
    return {name for page in PAGES.glob("*.md") for name in names_in(page.read_text("utf-8"))}


def imported(source: str) -> Iterator[str]:
    """What Python code imports from our packages: modules, and names with their modules."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def is_ours(path: str) -> bool:
    return path.partition(".")[0] in PACKAGES


def is_public(path: str) -> bool:
    modules = {module.__name__: set(module.__all__) for module in PUBLIC}
    module, _, name = path.rpartition(".")
    return path in modules or name in modules.get(module, ())


@by_name
def test_the_reference_describes_exactly_what_a_public_module_exports(module: ModuleType) -> None:
    of_module = {path.rpartition(".")[2] for path in described() if _module(path) is module}

    assert of_module == set(module.__all__)
    assert sorted(module.__all__) == sorted(set(module.__all__))


def test_the_reference_describes_nothing_of_another_module() -> None:
    assert [path for path in described() if not is_public(path)] == []


@by_name
def test_a_public_module_has_no_other_name_of_ours(module: ModuleType) -> None:
    reachable = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
        if is_ours(getattr(value, "__module__", "") or "")
    }

    assert reachable <= set(module.__all__)


@by_name
def test_every_name_that_is_exported_can_be_imported(module: ModuleType) -> None:
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_the_engine_s_own_values_are_not_exported() -> None:
    internal = {"Registry", "AgentEntry", "Transition", "Snapshot", "Translator", "RecordsInMemory"}

    assert internal & set(strandline.__all__) == set()


@pytest.mark.parametrize("page", PAGES_FOR_AUTHORS, ids=lambda page: page.name)
def test_code_on_a_page_imports_public_names_only(page: Path) -> None:
    shown = [block.text for block in blocks(page) if block.kind == "python" and block.title]
    ours = {path for source in shown for path in imported(source) if is_ours(path)}

    assert sorted(path for path in ours if not is_public(path)) == []
    from_lines = re.findall(r"^\s*from ([\w.]+) import", page.read_text("utf-8"), re.MULTILINE)
    assert [module for module in from_lines if is_ours(module) and not is_public(module)] == []


@pytest.mark.parametrize("page", PAGES_FOR_AUTHORS, ids=lambda page: page.name)
def test_a_page_names_no_private_module_and_no_private_name(page: Path) -> None:
    text = page.read_text("utf-8")
    dotted = re.findall(rf"\b((?:{'|'.join(PACKAGES)})(?:\.[a-zA-Z_]\w*)+)\b", text)
    existing = {path for path in dotted if _exists(path) and path not in NOT_IMPORTED}

    assert sorted(path for path in existing if not is_public(path)) == []
    assert re.findall(r"`(?:\w+\.)*_[a-z]\w*(?:\(\))?`", text) == []


@pytest.mark.parametrize("file", CODE_FOR_AUTHORS, ids=lambda file: file.name)
def test_examples_import_public_names_only(file: Path) -> None:
    source = re.sub(r"\$\{?\w+\}?", "name", file.read_text("utf-8"))
    ours = {path for path in imported(source) if is_ours(path)}

    assert sorted(path for path in ours if not is_public(path)) == []


def _module(path: str) -> ModuleType:
    return import_module(path.rpartition(".")[0])


def _exists(path: str) -> bool:
    """Whether the path leads to something of ours: file names and keys of a config do not."""
    module, _, name = path.rpartition(".")
    try:
        found = import_module(module)
    except ImportError:
        return False
    return hasattr(found, name) or _is_module(path)


def _is_module(path: str) -> bool:
    try:
        import_module(path)
    except ImportError:
        return False
    return True
