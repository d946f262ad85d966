"""A start that can't be: one line that says what to do, exit code 2, nothing changed on disk."""

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from strandline.testing.processes import free_port
from tests.support.setup import Bot, Setup

pytestmark = pytest.mark.homeserver


async def strandline(*arguments: str, directory: Path) -> tuple[int, str]:
    """Run the command; its exit code and what it says on standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "strandline",
        *arguments,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert b"Traceback" not in output + errors, errors.decode()
    return process.returncode or 0, errors.decode().strip()


def on_disk(directory: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(directory)): path.read_bytes() if path.is_file() else None
        for path in sorted(directory.rglob("*"))
        if path.suffix != ".lock"  # it names the last process that had the folder, for people
    }


async def refused(bot: Bot, *, says: str) -> None:
    """Start ``bot``, which must fail with one line and leave everything as it was."""
    bot.write_config()
    before = on_disk(bot.directory)

    code, line = await strandline("run", "--config", "config.yaml", directory=bot.directory)

    assert (code, line.count("\n")) == (2, 0), line
    assert says in line
    assert on_disk(bot.directory) == before


async def test_an_unreachable_homeserver(setup: Setup) -> None:
    bot = await setup.bot(start=False)
    bot.config["homeserver"]["url"] = f"http://127.0.0.1:{free_port()}"

    await refused(bot, says="can't be reached")


async def test_a_wrong_password(setup: Setup) -> None:
    bot = await setup.bot(start=False)
    bot.config["homeserver"]["password"] = "wrong"

    await refused(bot, says="check homeserver.user_id and homeserver.password")


async def test_a_wrong_access_token(setup: Setup) -> None:
    bot = await setup.bot(start=False)
    del bot.config["homeserver"]["password"]
    bot.config["homeserver"]["access_token"] = "wrong"

    await refused(bot, says="homeserver.access_token")


async def test_a_data_folder_that_cannot_be_written(setup: Setup) -> None:
    bot = await setup.bot(start=False)
    bot.directory.mkdir()
    (bot.directory / "file").write_text("not a folder")
    bot.config["storage"]["data_dir"] = "file/data"

    await refused(bot, says="is not writable")


async def test_a_database_of_a_newer_version(setup: Setup) -> None:
    bot = await setup.bot()
    await bot.terminate()
    with closing(sqlite3.connect(bot.database)) as db:
        db.execute("PRAGMA user_version = 999")

    await refused(bot, says="install the newer Strandline")


async def test_a_file_that_is_no_database(setup: Setup) -> None:
    bot = await setup.bot(start=False)
    bot.database.parent.mkdir(parents=True)
    bot.database.write_text("these are not the rows you are looking for" * 100)
    bot.database.chmod(0o600)
    (bot.database.parent / "lambda_matrix.db.lock").write_text(str(os.getpid()))

    await refused(bot, says="is not a Strandline database")


async def test_a_second_process_is_refused_and_names_the_first(setup: Setup) -> None:
    bot = await setup.bot()
    alice = await setup.person("alice")

    code, line = await strandline("run", "--config", "config.yaml", directory=bot.directory)

    assert (code, line.count("\n")) == (2, 0)
    assert f"is in use by process {bot.pid} since" in line
    room = await setup.meet(alice, bot)
    await alice.asks(room, "hello", r"^\[agent-1 · chat 1\] hello$")


async def test_a_second_process_leaves_the_firsts_files_alone(setup: Setup) -> None:
    bot = await setup.bot()
    os.kill(bot.pid or 0, signal.SIGSTOP)
    before = on_disk(bot.directory)

    code, _ = await strandline("run", "--config", "config.yaml", directory=bot.directory)

    assert code == 2
    assert on_disk(bot.directory) == before
    os.kill(bot.pid or 0, signal.SIGCONT)


async def test_a_homeserver_that_is_away_when_the_session_is_lost(setup: Setup) -> None:
    bot = await setup.bot()
    await bot.terminate()
    shutil.rmtree(bot.database.parent / "matrix_store")
    (bot.database.parent / "matrix_store").mkdir(mode=0o700)
    bot.config["homeserver"]["url"] = f"http://127.0.0.1:{free_port()}"

    await refused(bot, says="can't be reached")


async def test_an_agent_that_stands_twice(setup: Setup) -> None:
    bot = await setup.bot(start=False)
    bot.config["agents"].append(bot.config["agents"][0])

    await refused(bot, says="agents[1].id: there is an agent 'agent-1' already")


async def test_an_unknown_key(setup: Setup) -> None:
    bot = await setup.bot(start=False, limit={})

    await refused(bot, says="limit: unknown key; did you mean 'limits'?")


async def test_a_config_that_is_no_yaml(setup: Setup) -> None:
    bot = await setup.bot(start=False)
    bot.write_config().write_text("homeserver: [\n")
    before = on_disk(bot.directory)

    code, line = await strandline("run", directory=bot.directory)

    assert (code, line.count("\n")) == (2, 0)
    assert line.startswith("strandline: config.yaml:2: is not valid YAML: ")
    assert on_disk(bot.directory) == before


async def test_a_config_that_is_not_there(tmp_path: Path) -> None:
    code, line = await strandline("run", "--config", "none.yaml", directory=tmp_path)

    assert code == 2
    assert line == (
        "strandline: none.yaml: can't be read (No such file or directory); "
        "name the file with --config"
    )
    assert on_disk(tmp_path) == {}


async def test_commands_on_parked_messages_and_the_config(setup: Setup) -> None:
    bot = await setup.bot()
    in_use = await strandline("parked", "list", directory=bot.directory)
    await bot.terminate()

    assert in_use[0] == 2
    assert "in use by process" in in_use[1]
    assert await strandline("parked", "list", directory=bot.directory) == (0, "")
    for command in ("retry", "drop"):
        code, line = await strandline("parked", command, "$x", directory=bot.directory)
        assert code == 2
        assert "no parked message '$x'" in line
    assert await strandline("config", "check", directory=bot.directory) == (0, "")
    assert await strandline("version", directory=bot.directory) == (0, "")
    code, line = await strandline("runn", directory=bot.directory)
    assert code == 2
    assert "No such command" in line


async def test_nothing_secret_is_logged_even_at_debug(setup: Setup) -> None:
    bot = await setup.bot(log={"format": "json", "level": "debug"})
    alice = await setup.person("alice", encrypted=True)
    room = await setup.meet(alice, bot)
    await alice.asks(room, "hello", r"^\[agent-1")
    await bot.terminate()

    log = bot.log_path.read_text()
    session: dict[str, Any] = {}
    for path in (bot.directory / "data" / "matrix_store").glob("*.json"):
        session |= json.loads(path.read_text())
    assert session["access_token"] not in log
    assert bot.config["homeserver"]["password"] not in log
    assert alice.credentials.password not in log
    assert alice.credentials.access_token not in log
    lines = [json.loads(line) for line in log.splitlines()]
    assert lines == bot.log_lines()
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    assert lines[-1]["event"] == "stopped"


async def test_a_data_folder_that_is_moved_away_stops_the_bot_with_a_sentence(
    setup: Setup,
) -> None:
    bot = await setup.bot()
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)
    await alice.asks(room, "hello", r"chat 1\] hello")
    folder = bot.database.parent
    folder.rename(folder.with_name("elsewhere"))

    other = await alice.create_room(invite=[bot.user_id])

    assert await bot.ended() != 0
    assert "was moved away or replaced while the bot was running" in bot.log_path.read_text()
    folder.with_name("elsewhere").rename(folder)
    await bot.start()
    await alice.sees(other, "Hello!")
    await alice.asks(other, "hello", r"chat 2\] hello")


async def test_a_crypto_store_that_is_moved_away_stops_the_bot_with_a_sentence(
    setup: Setup,
) -> None:
    bot = await setup.bot()
    alice = await setup.person("alice", encrypted=True)
    room = await setup.meet(alice, bot)
    await alice.asks(room, "hello", r"chat 1\] hello")
    folder = bot.database.parent / "matrix_store"
    folder.rename(folder.with_name("elsewhere"))

    await alice.say(room, "and now?")
    bob = await setup.person("bob", encrypted=True)
    await bob.create_room(invite=[bot.user_id])

    assert await bot.ended() != 0
    assert "was moved away while the bot was running" in bot.log_path.read_text()
    folder.with_name("elsewhere").rename(folder)
    await bot.start()
    await alice.sees(room, r"chat 1\] and now\?")
