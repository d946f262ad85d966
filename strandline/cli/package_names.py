"""Finds top-level packages of Strandline whose name another installed distribution uses too.

This module imports nothing of Strandline. It must work even if Python imports another
distribution's ``fsm`` or ``durable`` instead of Strandline's.
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import Distribution, distributions
from importlib.util import find_spec
from pathlib import Path

from attrs import frozen

PACKAGES = ("durable", "ephemeral", "fsm", "matrix")
"""The packages that are installed in addition to ``strandline``."""

_ROOT = Path(__file__).resolve().parents[2]


@frozen
class Clash:
    """A name of a top-level package that Strandline and other code use.

    Args:
        package: The name.
        owners: The names of the other distributions that list files of such a package, sorted.
        imported_from: The path from which Python imports the package, if it is not Strandline's;
            else None.
        is_overwritten: Whether a file of Strandline's package is missing or was changed.
    """

    package: str
    owners: tuple[str, ...] = ()
    imported_from: str | None = None
    is_overwritten: bool = False

    @property
    def is_fatal(self) -> bool:
        """Whether code is imported by this name that is not Strandline's."""
        return self.imported_from is not None or self.is_overwritten

    def __str__(self) -> str:
        named = " and ".join(self.owners)
        if self.imported_from is not None:
            of = f" of {named}" if named else ""
            problem = f"Python imports {self.imported_from}{of} instead of Strandline's package"
        elif self.is_overwritten:
            problem = f"files of {named} have overwritten those of Strandline's package"
        else:
            problem = f"a package of {named} has the same name as Strandline's package"
        remedy = f"uninstall {named}" if named else "rename the other package"
        return (
            f"{problem} {self.package!r}; {remedy}, or install Strandline in an environment of its "
            "own, then reinstall strandline"
        )


def clashes() -> list[Clash]:
    """All clashes of this environment, from the file lists of installed distributions."""
    listed = [(found, packages) for found in distributions() if (packages := _listed(found))]
    ours = [found for found, _ in listed if _is_ours(found)]
    owners: dict[str, set[str]] = {package: set() for package in PACKAGES}
    for found, packages in listed:
        for package in packages if found not in ours else ():
            owners[package].add(found.name)
    return [clash for package in PACKAGES for clash in _clash(package, ours, owners[package])]


def fatal_clashes() -> str:
    """Return the error messages of all fatal clashes, one on each line; empty if there are none."""
    return "\n".join(str(clash) for clash in clashes() if clash.is_fatal)


def _clash(package: str, ours: list[Distribution], owners: set[str]) -> Iterator[Clash]:
    foreign = _foreign_origin(package)
    if owners or foreign:
        changed = bool(owners) and any(_has_changed(package, found) for found in ours)
        yield Clash(package, tuple(sorted(owners)), foreign, is_overwritten=changed)


def _is_ours(found: Distribution) -> bool:
    """Whether the distribution is Strandline itself, which may be on the path twice."""
    return found.name.lower() == "strandline"


def _listed(found: Distribution) -> set[str]:
    """Return those of ``PACKAGES`` of which the distribution has files.

    ``importlib.metadata.packages_distributions`` is ten times as slow, because it parses each line.
    """
    listing = found.read_text("RECORD")
    if listing is None:
        return set(PACKAGES).intersection((found.read_text("top_level.txt") or "").split())
    lines = f"\n{listing}"
    return {name for name in PACKAGES if f"\n{name}/" in lines or f"\n{name}.py," in lines}


def _foreign_origin(package: str) -> str | None:
    """Return the path from which Python imports the package of this name.

    None if that is Strandline's own package, or if there is no such package.
    """
    spec = find_spec(package)
    if spec is None:
        return None
    origin = spec.origin or next(iter(spec.submodule_search_locations or ()), "")
    is_ours = Path(origin).resolve() == _ROOT / package / "__init__.py"
    return None if is_ours else origin


def _has_changed(package: str, ours: Distribution) -> bool:
    """Return whether a file of the package is missing or differs from what was installed.

    Each file is compared with its hash in the distribution's list of files. If ``ours`` is not
    installed in the folder of the running code, return False.
    """
    if Path(str(ours.locate_file(""))).resolve() != _ROOT:
        return False
    return any(
        _digest(_ROOT / file) != file.hash.value
        for file in ours.files or ()
        if file.parts[0] == package and file.hash is not None and file.hash.mode == "sha256"
    )


def _digest(path: Path) -> str | None:
    if not path.is_file():
        return None
    return urlsafe_b64encode(sha256(path.read_bytes()).digest()).decode().rstrip("=")
