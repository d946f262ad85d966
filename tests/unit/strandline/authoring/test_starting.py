import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from strandline.cli.main import cli

ROOT = Path(__file__).parent.parent.parent.parent.parent


def new(name: str) -> Result:
    return CliRunner().invoke(cli, ["new", name])


def run(folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    return subprocess.run(  # noqa: S603  # what the project's author would type
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for module in set(sys.modules) - before:
        del sys.modules[module]


def test_a_new_project_passes_its_own_lint_unit_tests_and_check_of_its_pictures(
    folder: Path,
) -> None:
    """Its scenarios on a homeserver are run by the last step of the tutorial."""
    written = new("sea-notes")

    assert written.exit_code == 0, written.output
    assert written.output.splitlines()[2].strip() == "cd sea-notes"
    project = folder / "sea-notes"
    tests = run(project, "pytest", "-q", "-p", "no:cacheprovider", "tests/test_notes.py")
    assert "2 passed" in tests.stdout, tests.stdout + tests.stderr
    lint = run(project, "strandline", "lint", "sea_notes", "--strict")
    assert lint.stdout == "nothing is wrong\n"
    flow = "sea_notes.flows:Notes"
    check = run(project, "strandline", "diagram", flow, "--output", "docs/flows", "--check")
    assert check.stdout == "docs/flows is up to date\n"


def test_its_config_is_one_that_a_bot_can_use(folder: Path) -> None:
    new("sea-notes")

    environment = {**os.environ, "STRANDLINE_PASSWORD": "x", "PYTHONPATH": str(ROOT)}
    checked = subprocess.run(
        [sys.executable, "-m", "strandline", "config", "check"],
        cwd=folder / "sea-notes",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.stdout == "config.yaml is fine: @bot:example.org, agents echo\n", checked.stderr


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Notes", "is no name for a project; write lower-case letters"),
        ("sea notes", "is no name for a project"),
        ("1st", "is no name for a project"),
        ("class", "'class' is a word of Python's own"),
        ("a" * 300, "the name has 300 characters; choose one with up to 60"),
        ("json", "there is a module 'json' already"),
        ("durable", "there is a module 'durable' already"),
    ],
)
def test_a_name_that_can_not_be_used_writes_nothing(folder: Path, name: str, expected: str) -> None:
    result = new(name)

    assert result.exit_code == 1
    assert expected in result.output
    assert list(folder.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(folder: Path) -> None:
    (folder / "sea-notes").mkdir()
    (folder / "sea-notes" / "letter.txt").write_text("dear")

    result = new("sea-notes")

    assert result.exit_code == 1
    assert "is there already and not empty" in result.output
    assert [path.name for path in (folder / "sea-notes").iterdir()] == ["letter.txt"]
