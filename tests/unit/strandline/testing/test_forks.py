import os
import signal
from pathlib import Path

from fsm.values.ids import UserId
from strandline.testing.bot import BotProcess, config_for
from strandline.testing.forks import ForkedProcess, can_fork, fork_module
from strandline.testing.homeserver import Credentials
from strandline.testing.processes import free_port
from tests.unit.strandline.testing.processes import assert_dies_with_its_parent, is_running


def fork(directory: Path, *arguments: str, **environment: str) -> ForkedProcess:
    return fork_module(
        "strandline",
        arguments,
        output=directory / "output",
        directory=directory,
        environment={**os.environ, **environment},
    )


def waiting_bot(directory: Path) -> BotProcess:
    """A bot whose homeserver is away, so that it runs and does nothing."""
    account = Credentials(
        user_id=UserId("@bot:example.org"),
        password="secret",  # noqa: S106
        access_token="",
        device_id="",
    )
    url = f"http://127.0.0.1:{free_port()}"
    agents = [{"id": "echo", "kind": "echo"}]
    return BotProcess(directory, config_for(url, account, agents=agents), forked=True)


def test_a_forked_process_tells_its_exit_code_and_writes_where_it_was_told(tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.write_text("before\n")

    process = fork(tmp_path, "config", "check", "--config", "none.yaml")

    assert (process.wait(), process.poll(), process.returncode) == (2, 2, 2)
    assert output.read_text().startswith("before\nstrandline: none.yaml: can't be read")
    assert fork(tmp_path, "version").wait() == 0


def test_it_has_the_environment_and_the_directory_that_it_was_given(tmp_path: Path) -> None:
    package = tmp_path / "there"
    package.mkdir()
    (package / "told.py").write_text(
        "import os, sys\nprint(os.environ['WHAT'], os.getcwd(), 'HOME' in os.environ)\n"
        "print(sys.argv[1:3])\n"
    )

    process = fork(tmp_path, "lint", "told:Nothing", PYTHONPATH=str(package), WHAT="plain")

    assert process.wait() != 0
    output = (tmp_path / "output").read_text()
    assert f"plain {tmp_path} True" in output
    assert "['lint', 'told:Nothing']" in output


async def test_it_is_another_process_in_each_life_and_can_be_killed(tmp_path: Path) -> None:
    bot = waiting_bot(tmp_path)
    await bot.start(wait=False)
    first = bot.pid
    assert is_running(str(first))

    await bot.kill()
    assert not is_running(str(first))
    assert bot.exit_code() == -signal.SIGKILL

    await bot.start(wait=False)
    assert bot.pid not in (None, first, os.getpid())
    await bot.stop()


PARENT = """
import sys
from pathlib import Path
from tests.unit.strandline.testing.test_forks import waiting_bot
bot = waiting_bot(Path(sys.argv[1]))
bot.launch()
print(bot.pid, flush=True)
input()
"""


async def test_it_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    await assert_dies_with_its_parent(PARENT, str(tmp_path))


def test_a_process_that_measures_its_coverage_is_not_forked() -> None:
    assert not can_fork({"COVERAGE_PROCESS_CONFIG": "x"})
