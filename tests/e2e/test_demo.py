import asyncio
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.homeserver

DEMO = [sys.executable, "-m", "strandline.demo"]


async def test_without_a_terminal_the_demo_plays_a_tour_that_checks_itself(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *DEMO,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    output, _ = await process.communicate()
    text = output.decode()

    assert process.returncode == 0, text
    assert text.count("✓") == 8
    assert "the room, read back from the homeserver" in text
    assert "bot │ [agent-1 · chat 1] still there?" in text
    assert list(tmp_path.iterdir()) == []


class Terminal:
    """The demo on a pseudo-terminal."""

    def __init__(self, directory: Path) -> None:
        self._screen, line = pty.openpty()
        self.process = subprocess.Popen(  # noqa: S603
            DEMO, stdin=line, stdout=line, stderr=line, env={**os.environ, "TMPDIR": str(directory)}
        )
        os.close(line)
        os.set_blocking(self._screen, False)
        self.text = ""

    def type(self, line: str) -> None:
        os.write(self._screen, f"{line}\n".encode())

    async def shows(self, pattern: str) -> None:
        async with asyncio.timeout(60):
            while not re.search(pattern, self.text, re.DOTALL):
                try:
                    self.text += os.read(self._screen, 65536).decode(errors="replace")
                except BlockingIOError:
                    await asyncio.sleep(0.05)
        self.text = re.split(pattern, self.text, maxsplit=1, flags=re.DOTALL)[-1]


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

    assert await asyncio.to_thread(terminal.process.wait, 20) == 0
    assert list(tmp_path.iterdir()) == []
