import re
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType

import pytest
from attrs import frozen

from fsm import errors
from fsm.errors import StrandlineError
from tests.docs.pages import DOCS

PACKAGES = ("fsm", "durable", "ephemeral", "matrix", "strandline")

ROW = re.compile(r"^\| `(?P<path>[\w.]+)\.(?P<name>\w+)` \|(?P<rest>.*)\|$", re.MULTILINE)
BRANCH = re.compile(
    r"^    (?P<lines>[│├└─ ]*)(?P<name>\w+)(?: +(?P<module>[\w.]+))?$", re.MULTILINE
)
INDENT = len("├── ")


@frozen
class Drawn:
    """An error as the tree of ``fsm.errors`` draws it; the root has no parent."""

    name: str
    module: str
    parent: str | None


@pytest.fixture(scope="module")
def modules() -> list[ModuleType]:
    return [module for package in PACKAGES for module in _modules(package)]


@pytest.fixture(scope="module")
def classes(modules: list[ModuleType]) -> list[type[StrandlineError]]:
    """The public errors of all modules."""
    assert modules
    return [
        error
        for error in _with_subclasses(StrandlineError)
        if error.__module__.partition(".")[0] in PACKAGES and not error.__name__.startswith("_")
    ]


def test_the_page_has_every_error_once(classes: list[type[StrandlineError]]) -> None:
    listed = [getattr(import_module(row["path"]), row["name"], row["name"]) for row in _rows()]

    assert len(classes) > 30
    assert [error for error in listed if error not in classes] == []
    assert [error for error in classes if listed.count(error) != 1] == []


def test_each_row_has_one_sentence_for_when_and_one_for_what_to_do() -> None:
    cells = [cell.strip() for row in _rows() for cell in row["rest"].split(" | ")]

    assert len(cells) == 2 * len(list(_rows()))
    assert [cell for cell in cells if not re.fullmatch(r"[A-Z`].*[^.]\.", cell)] == []
    assert [cell for cell in cells if re.search(r"\w\. [A-Z]", cell)] == []


def test_the_tree_has_every_error_under_its_base(classes: list[type[StrandlineError]]) -> None:
    drawn = sorted(_drawn(errors.__doc__ or ""), key=lambda error: error.name)

    assert drawn == sorted(map(_as_drawn, classes), key=lambda error: error.name)


def test_the_tree_is_drawn_in_one_place(
    modules: list[ModuleType], classes: list[type[StrandlineError]]
) -> None:
    names = "|".join(error.__name__ for error in classes)
    branch = re.compile(rf"── ({names})\b")

    assert [module for module in modules if branch.search(module.__doc__ or "")] == [errors]
    assert [page for page in DOCS.rglob("*.md") if branch.search(page.read_text("utf-8"))] == []


def _modules(package: str) -> Iterator[ModuleType]:
    """The package and all in it, but for the programs, which run when they are imported."""
    root = import_module(package)
    yield root
    for found in walk_packages(root.__path__, f"{package}."):
        if not found.name.endswith(".__main__"):
            yield import_module(found.name)


def _with_subclasses(error: type[StrandlineError]) -> Iterator[type[StrandlineError]]:
    yield error
    for subclass in error.__subclasses__():
        yield from _with_subclasses(subclass)


def _rows() -> Iterator[re.Match[str]]:
    return ROW.finditer((DOCS / "errors.md").read_text("utf-8"))


def _drawn(text: str) -> Iterator[Drawn]:
    above: list[Drawn] = []
    for found in BRANCH.finditer(text):
        depth = len(found["lines"]) // INDENT
        parent = above[depth - 1] if depth else None
        module = found["module"] or (parent.module if parent else "")
        drawn = Drawn(found["name"], module, parent.name if parent else None)
        above[depth:] = [drawn]
        yield drawn


def _as_drawn(error: type[StrandlineError]) -> Drawn:
    base = None if error is StrandlineError else error.__bases__[0].__name__
    return Drawn(error.__name__, error.__module__, base)
