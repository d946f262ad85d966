"""What a command imports before it answers: only what it needs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from strandline.cli.main import COMMANDS, cli
from tests.support.limits import HANGS_SECONDS

PROGRAM = """\
import json
import sys

from strandline.__main__ import main

try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)))
"""

CONFIG = """\
homeserver:
  url: https://matrix.example.org
  user_id: "@bot:example.org"
  password: hunter2
agents:
  - id: agent-1
    kind: echo
flows:
  - "examples.poll:Poll"
"""

HEAVY = {
    *("nio", "aiohttp", "httpx", "structlog", "markdown_it", "nh3", "openai", "a2a"),
    *("strandline.engine", "strandline.testing", "matrix"),
}
"""What the bot runs on, and what tests run on."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a config that names a flow."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


def imported_by(folder: Path, *arguments: str) -> set[str]:
    """The modules that the command imports, of those that no Python has at its start."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
        capture_output=True,
        text=True,
        timeout=HANGS_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [("--help",), ("version",), ("config", "check"), ("lint",)])
def test_a_command_imports_neither_the_bot_nor_a_matrix_client(
    folder: Path, arguments: tuple[str, ...]
) -> None:
    assert imported_by(folder, *arguments) & HEAVY == set()


@pytest.mark.parametrize("arguments", [("--help",), ("version",)])
def test_help_and_version_do_not_read_a_config_or_flows(
    folder: Path, arguments: tuple[str, ...]
) -> None:
    found = imported_by(folder, *arguments)

    assert (
        found & {"yaml", "cattrs", "asyncio", "strandline.flows", "durable", "ephemeral"} == set()
    )


def test_config_check_imports_the_flows_that_the_config_names_and_no_store(folder: Path) -> None:
    found = imported_by(folder, "config", "check")

    assert "examples.poll" in found
    assert found & {"sqlite3", "durable.store", "ephemeral.agents.pool"} == set()


def test_every_command_is_listed_with_the_first_sentence_of_its_help() -> None:
    context = click.Context(cli)
    wide = 200

    for name, (_, text) in COMMANDS.items():
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.get_short_help_str(wide) == text


def test_a_command_that_does_not_exist_is_none() -> None:
    assert cli.get_command(click.Context(cli), "runn") is None
