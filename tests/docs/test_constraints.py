import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent.parent
PINS = (ROOT / "constraints.txt").read_text("utf-8").splitlines()


def test_each_line_is_a_name_with_an_exact_version() -> None:
    assert [pin for pin in PINS if not re.fullmatch(r"[\w.-]+==[\w.!+]+", pin)] == []


def test_every_requirement_has_a_pin_that_it_permits() -> None:
    versions = {canonicalize_name(name): version for name, _, version in map(_parts, PINS)}
    requirements = list(_requirements())

    assert len(requirements) > 30
    wrong = [
        f"{requirement} is pinned to {version}"
        for requirement in requirements
        if (version := versions.get(canonicalize_name(requirement.name))) is None
        or not requirement.specifier.contains(version)
    ]
    assert wrong == []


def _parts(pin: str) -> tuple[str, str, str]:
    return pin.partition("==")


def _requirements() -> Iterator[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extras = project["project"]["optional-dependencies"].values()
    groups = project["dependency-groups"].values()
    for requirements in (project["project"]["dependencies"], *extras, *groups):
        yield from (Requirement(line) for line in requirements if isinstance(line, str))
