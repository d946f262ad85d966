import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, Block, blocks, write

pytestmark = [pytest.mark.homeserver, pytest.mark.timeout(300)]

SETTINGS = next(block for block in blocks(DOCS / "tutorial.md") if block.title == "pytest.ini")

PAGES = sorted((DOCS / "howto").glob("*.md"))

WITH_CODE = [page for page in PAGES if any(b.kind == "python" for b in blocks(page))]


def _install(folder: Path, block: Block) -> None:
    """Declare the entry points of a project as installing it would."""
    project = tomllib.loads(block.text)["project"]
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {path}" for name, path in points.items())]
    installed = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    installed.mkdir()
    (installed / "entry_points.txt").write_text("\n".join(lines))
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (installed / "METADATA").write_text(metadata)


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.stem)
def test_the_code_of_a_guide_passes_the_tests_that_it_shows(page: Path, tmp_path: Path) -> None:
    shown = [block for block in blocks(page) if block.title]
    for block in (SETTINGS, *shown):
        write(block, tmp_path)
        if block.title == "pyproject.toml":
            _install(tmp_path, block)

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": _path(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_in_a_guide_is_a_file_that_is_run(page: Path) -> None:
    loose = [b.line for b in blocks(page) if b.kind == "python" and b.title is None]

    assert loose == []


def test_no_two_pages_show_a_module_of_the_same_name() -> None:
    pages = [*PAGES, DOCS / "tutorial.md"]
    names = [name for page in pages for name in {b.title for b in blocks(page) if b.title}]
    modules = [name for name in names if name.endswith(".py")]

    assert sorted(modules) == sorted(set(modules))


def _path(folder: Path) -> str:
    return os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
