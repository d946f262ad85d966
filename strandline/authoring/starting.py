"""Creates a new project: a flow with its tests, diagrams and CI."""

import keyword
import re
import sys
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

from attrs import frozen

from fsm.errors import StrandlineError
from strandline.authoring import drawing
from strandline.flows.discovery import can_import_from, flow_at
from strandline.installation import requirement

_FILES = {
    "pyproject.toml": "pyproject.toml.txt",
    "README.md": "README.md.txt",
    "config.yaml": "config.yaml.txt",
    ".gitignore": "gitignore.txt",
    ".github/workflows/ci.yml": "workflows/ci.yml.txt",
    "{package}/__init__.py": "package/init.py.txt",
    "{package}/flows.py": "package/flows.py.txt",
    "tests/test_notes.py": "tests/test_notes.py.txt",
    "tests/test_notes_survive.py": "tests/test_notes_survive.py.txt",
}
"""The files of a project, with the template of each."""


LONGEST_NAME = 60
"""The maximum length of a project's name, which is part of file names."""


@frozen(slots=False)
class NotStarted(StrandlineError):
    """The project can't be created; nothing was written."""

    problem: str

    def __str__(self) -> str:
        return self.problem


def start(name: str, folder: Path) -> Path:
    """Create a project in a new folder with its name.

    Args:
        name: The project's name. The package has the same name, with underscores for hyphens.
        folder: The folder in which the new folder is created.

    Returns:
        The new folder.

    Raises:
        NotStarted: The name is invalid or already used.
    """
    package = name.replace("-", "_")
    _check(name, package)
    root = folder / name
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        problem = f"{root} is there already and not empty; choose another name"
        raise NotStarted(problem)
    strandline, strandline_for_tests = requirement()
    values = {
        "name": name,
        "package": package,
        "strandline": strandline,
        "strandline_for_tests": strandline_for_tests,
    }
    templates = files("strandline.authoring") / "templates" / "project"
    for path, template in _FILES.items():
        written = root / path.format(package=package)
        written.parent.mkdir(parents=True, exist_ok=True)
        text = (templates / template).read_text(encoding="utf-8")
        written.write_text(Template(text).substitute(values), encoding="utf-8")
    can_import_from(root.absolute())
    drawing.write([flow_at(f"{package}.flows:Notes")], "mermaid", root / "docs" / "flows")
    return root


def _check(name: str, package: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name):
        problem = (
            f"{name[:60]!r} is no name for a project; write lower-case letters and digits, with "
            f"hyphens in between, such as shopping-list"
        )
        raise NotStarted(problem)
    if keyword.iskeyword(package):
        problem = f"{package!r} is a word of Python's own; choose another name"
        raise NotStarted(problem)
    if len(name) > LONGEST_NAME:
        problem = f"the name has {len(name)} characters; choose one with up to {LONGEST_NAME}"
        raise NotStarted(problem)
    if package in sys.stdlib_module_names or find_spec(package):
        problem = f"there is a module {package!r} already, of which only one can be imported;"
        problem += " choose another name"
        raise NotStarted(problem)
