"""The command line as an operator meets it: what is printed where, and the exit code."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from durable.store import SqliteStore
from fsm.values.ids import EventId, RoomId
from tests.support.limits import HANGS_SECONDS

CONFIG = """\
homeserver:
  url: https://matrix.example.org
  user_id: "@bot:example.org"
  password: hunter2
agents:
  - id: agent-1
    kind: echo
"""

EVENT = EventId("$poison")
ROOM = RoomId("!room:example.org")
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a config."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


def strandline(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run the command in ``folder``: its exit code, standard output and standard error."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "strandline", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANGS_SECONDS,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def park(folder: Path, error: str = "ValueError: no") -> None:
    """Leave a data folder in which an event is parked."""

    async def work() -> None:
        (folder / "data").mkdir(mode=0o700)
        store = await SqliteStore.open(folder / "data" / "lambda_matrix.db", now=lambda: NOON)
        await store.parking.park_event(EVENT, ROOM, error=error, attempts=5)
        await store.close()

    asyncio.run(work())


def parked_and_reopened(folder: Path) -> tuple[int, list[EventId]]:
    async def work() -> tuple[int, list[EventId]]:
        store = await SqliteStore.open(folder / "data" / "lambda_matrix.db", now=lambda: NOON)
        found = (
            len(await store.parking.list_parked()),
            [row.event_id for row in await store.reopened()],
        )
        await store.close()
        return found

    return asyncio.run(work())


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_config_that_can_be_used_is_called_fine(folder: Path) -> None:
    code, output, errors = strandline(folder, "config", "check")

    assert (code, errors) == (0, "")
    assert output == "config.yaml is fine: @bot:example.org, agents agent-1"


def test_every_problem_of_a_config_is_a_line_on_standard_error(folder: Path) -> None:
    text = CONFIG.replace("password", "pasword").replace("echo", "echo\n    colour: red")
    (folder / "other.yaml").write_text(text)

    code, output, errors = strandline(folder, "config", "check", "--config", "other.yaml")

    assert (code, output) == (2, "")
    known = "id, kind, name, description, first_seconds, answer_seconds, at_a_time, options"
    assert errors.splitlines() == [
        "strandline: other.yaml:4: homeserver.pasword: unknown key; did you mean 'password'?",
        f"other.yaml:8: agents[0].colour: unknown key; known here: {known}",
    ]


@pytest.mark.parametrize("command", [("config", "check"), ("run",), ("parked", "list")])
def test_a_config_that_is_not_there_is_one_line(tmp_path: Path, command: tuple[str, ...]) -> None:
    code, output, errors = strandline(tmp_path, *command)

    expected = "strandline: config.yaml: can't be read (No such file or directory); name the file"
    assert (code, output) == (2, "")
    assert errors == f"{expected} with --config"
    assert files(tmp_path) == []


def test_a_secret_is_not_in_what_a_broken_config_prints(folder: Path) -> None:
    broken = CONFIG.replace("https://matrix.example.org", '"http://[::1"')
    (folder / "config.yaml").write_text(f"{broken}limits: [{'[' * 2000}")

    for text in ((folder / "config.yaml").read_text(), broken):
        (folder / "config.yaml").write_text(text)
        code, output, errors = strandline(folder, "run")
        assert (code, output) == (2, "")
        assert "hunter2" not in errors


def test_the_version_is_the_installed_one(tmp_path: Path) -> None:
    assert strandline(tmp_path, "version") == (0, version("strandline"), "")


def test_an_unknown_command_is_refused(tmp_path: Path) -> None:
    code, _, errors = strandline(tmp_path, "runn")

    assert code == 2
    assert "No such command 'runn'" in errors


def test_parked_events_are_listed_with_time_room_and_error(folder: Path) -> None:
    park(folder)

    code, output, errors = strandline(folder, "parked", "list")

    assert (code, errors) == (0, "")
    [line] = output.splitlines()
    assert line.endswith(f"{ROOM}  {EVENT}  ValueError: no")
    assert line.startswith("2026-07-01 12:00:00")


def test_an_error_that_is_listed_does_nothing_to_the_terminal(folder: Path) -> None:
    park(folder, "ValueError: \x1b]0;owned\x07\u202e\n2026-01-01 a line of its own")

    _, output, _ = strandline(folder, "parked", "list")

    assert output.endswith("ValueError: \\x1b]0;owned\\x07\\u202e\\n2026-01-01 a line of its own")


@pytest.mark.parametrize(("command", "reopened"), [("retry", [EVENT]), ("drop", [])])
def test_a_parked_event_is_retried_or_dropped(
    folder: Path, command: str, reopened: list[EventId]
) -> None:
    park(folder)

    code, output, errors = strandline(folder, "parked", command, EVENT)

    assert (code, errors) == (0, "")
    assert output.startswith(f"{EVENT} ")
    assert parked_and_reopened(folder) == (0, reopened)


@pytest.mark.parametrize("command", ["retry", "drop"])
def test_what_is_not_parked_is_one_line(folder: Path, command: str) -> None:
    park(folder)

    code, output, errors = strandline(folder, "parked", command, "$other")

    assert (code, output) == (2, "")
    assert errors == "Error: no parked message '$other'; `strandline parked list` has them"
    assert parked_and_reopened(folder) == (1, [])


def test_to_look_for_parked_events_makes_no_data_folder(folder: Path) -> None:
    code, output, errors = strandline(folder, "parked", "list")

    assert (code, output, errors.count("\n")) == (2, "", 0)
    assert "lambda_matrix.db; check --config and storage.data_dir" in errors
    assert files(folder) == ["config.yaml"]
