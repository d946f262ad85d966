import asyncio
import os
import pty
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from strandline.demo.script import DemoScript, NotAsExpected
from strandline.demo.setup import DemoSetup
from strandline.installation import pip_install
from tests.support.limits import HANGS_SECONDS
from tests.support.setup import Setup

pytestmark = pytest.mark.homeserver

DEMO = [sys.executable, "-m", "strandline.demo"]


def left_behind(directory: Path) -> list[str]:
    """Files in ``directory``, and processes that were started with it for their temporary files."""
    needle = os.fsencode(directory)
    processes = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            started_with = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            if needle in started_with:
                processes.append(entry.name)
    return [path.name for path in directory.iterdir()] + processes


async def without_a_terminal(directory: Path, *command: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(command or DEMO),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(directory)},
    )
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


async def test_without_a_terminal_the_demo_plays_a_tour_that_checks_itself(tmp_path: Path) -> None:
    code, text, errors = await without_a_terminal(tmp_path)

    assert (code, errors) == (0, ""), text
    assert (text.count("✓"), text.count("✗")) == (8, 0)
    assert "each of 6 messages was answered once" in text
    transcript = text.partition("the room, read back from the homeserver")[2]
    assert re.search(
        r"bot │ Hello!.*you │ !agent 1.*bot │ You selected"
        r".*you │ hello.*bot │ \[agent-1 · chat 1\] hello"
        r".*you │ !archive.*bot │ Archive.*you │ !yes.*bot │ I have no open question"
        r".*you │ still there\?.*bot │ \[agent-1 · chat 1\] still there\?",
        transcript,
        re.DOTALL,
    )
    assert left_behind(tmp_path) == []


async def test_the_tour_ends_at_the_first_step_that_is_not_as_expected(setup: Setup) -> None:
    bot = await setup.bot(agents=2)  # "Agent 1" is not the tour's "Agent One"
    alice = await setup.person("alice")
    room = await alice.create_room(invite=[bot.user_id])
    stage = DemoSetup(
        synapse=setup.synapse, bot=bot, bot_id=bot.user_id, person=alice, room_id=room
    )
    told: list[str] = []

    with pytest.raises(NotAsExpected):
        await DemoScript(stage, told.append).play()

    assert [line.strip() for line in told] == [
        "✓ the bot joins and greets",
        "✗ choosing an agent: !agent 1",
        r"expected: ^You selected \*\*Agent One\*\*",
        "seen:     You selected **Agent 1** (`agent-1`). Just write; it answers here.",
    ]


async def test_without_synapse_the_demo_says_what_to_install(tmp_path: Path) -> None:
    hide = "import runpy, sys; sys.modules['synapse'] = None; sys.argv[1:] = []"
    run = f"{hide}; runpy.run_module('strandline.demo', run_name='__main__')"

    code, _, errors = await without_a_terminal(tmp_path, sys.executable, "-c", run)

    assert code == 1
    assert errors.splitlines() == [
        f"strandline: no Synapse is installed; install the extra: {pip_install('test')}"
    ]
    assert left_behind(tmp_path) == []


def _hear_signals() -> None:
    """As a terminal's shell starts a program, whatever the tests themselves were started with."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Terminal:
    """The demo on a pseudo-terminal."""

    def __init__(self, directory: Path) -> None:
        self._screen, line = pty.openpty()
        self.process = subprocess.Popen(  # noqa: S603
            DEMO,
            stdin=line,
            stdout=line,
            stderr=line,
            env={**os.environ, "TMPDIR": str(directory)},
            preexec_fn=_hear_signals,  # noqa: PLW1509  # nothing but system calls
        )
        os.close(line)
        os.set_blocking(self._screen, False)
        self.text = ""

    def type(self, line: str) -> None:
        self.press(f"{line}\n")

    def press(self, keys: str) -> None:
        os.write(self._screen, keys.encode())

    async def shows(self, pattern: str) -> None:
        async with asyncio.timeout(HANGS_SECONDS):
            while not re.search(pattern, self.text, re.DOTALL):
                self._read()
                await asyncio.sleep(0.05)
        self.text = re.split(pattern, self.text, maxsplit=1, flags=re.DOTALL)[-1]

    async def exit_code(self) -> int:
        """Read on to the end, so that nothing that it prints is in its way."""
        async with asyncio.timeout(HANGS_SECONDS):
            while (code := self.process.poll()) is None:
                self._read()
                await asyncio.sleep(0.05)
        self._read()
        os.close(self._screen)
        return code

    def _read(self) -> None:
        with suppress(OSError):  # nothing new, or the other end is closed
            self.text += os.read(self._screen, 65536).decode(errors="replace")


async def test_in_a_terminal_one_talks_kills_the_bot_and_goes_on_talking(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)

    await terminal.shows("Hello!")
    terminal.type("!agent 1")
    await terminal.shows("You selected")
    terminal.type("hello")
    await terminal.shows(r"\[agent-1 · chat 1\] hello")
    terminal.type("/kill")
    await terminal.shows("SIGKILL to the bot .* is back as process")
    terminal.type("still there?")
    await terminal.shows(r"\[agent-1 · chat 1\] still there\?")
    terminal.type("/help")
    await terminal.shows("/quit removes everything")
    terminal.type("/quit")
    await terminal.shows("everything is stopped and removed")

    assert await terminal.exit_code() == 0
    assert left_behind(tmp_path) == []


async def test_the_end_of_the_input_ends_the_chat(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    await terminal.shows("Hello!")

    terminal.press("\x04")

    await terminal.shows("everything is stopped and removed")
    assert await terminal.exit_code() == 0
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("at", "number"),
    [
        ("starting a throwaway Synapse", signal.SIGINT),
        ("starting the bot", signal.SIGTERM),
        ("Hello!", signal.SIGINT),
        ("Hello!", signal.SIGHUP),
    ],
)
async def test_a_signal_at_any_time_leaves_nothing_behind(
    tmp_path: Path, at: str, number: signal.Signals
) -> None:
    terminal = Terminal(tmp_path)
    await terminal.shows(at)

    terminal.process.send_signal(number)

    await terminal.shows("everything is stopped and removed")
    assert await terminal.exit_code() == 130
    assert "Traceback" not in terminal.text
    assert left_behind(tmp_path) == []
