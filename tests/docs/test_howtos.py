import os
import tomllib
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, Block, Shell, blocks, carry_out, paths, write

pytestmark = [pytest.mark.homeserver, pytest.mark.timeout(3600)]

SETTINGS = next(block for block in blocks(DOCS / "tutorial.md") if block.title == "pytest.ini")

PAGES = sorted((DOCS / "howto").glob("*.md"))


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_guide_does_what_it_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", paths(tmp_path, os.environ.get("PYTHONPATH")))
    write(SETTINGS, tmp_path)
    with Shell(tmp_path) as shell:
        for block in blocks(page):
            if block.title:
                write(block, tmp_path)
            if block.title == "pyproject.toml":
                _install(tmp_path, block)
            if block.kind == "console":
                carry_out(block, shell)

        code, printed = shell.run("python -m pytest -q -p no:cacheprovider -W error")

    assert code == 0, printed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_in_a_guide_is_a_file_that_is_run(page: Path) -> None:
    loose = [b.line for b in blocks(page) if b.kind == "python" and b.title is None]

    assert loose == []


def test_no_two_pages_show_a_module_of_the_same_name() -> None:
    pages = [*PAGES, DOCS / "tutorial.md"]
    names = [name for page in pages for name in {b.title for b in blocks(page) if b.title}]
    modules = [name for name in names if name.endswith(".py")]

    assert sorted(modules) == sorted(set(modules))
