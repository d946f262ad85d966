"""From nothing to a first flow that answers in a room, outside the checkout: ``make newcomer``.

Builds the wheel, installs it with its extras into an empty virtual environment under an empty home,
and does what somebody new would do. Prints each step with its seconds.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

ROOT = Path(__file__).parent.parent
PROJECT = "sea-notes"
FLOW = "sea_notes.flows:Notes"
PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check")

TALK = '''\
"""Starts a homeserver and the project's bot, and has somebody talk to its flow."""

import asyncio
import tempfile
from pathlib import Path

from strandline.testing import BotProcess, Person, Synapse
from strandline.testing.bot import config_for


async def main() -> None:
    with Synapse() as synapse, tempfile.TemporaryDirectory() as folder:
        account = synapse.register("bot")
        agents = [{"id": "echo", "kind": "echo"}]
        rooms = {"onboarding": "none"}
        flows = ["sea_notes.flows:Notes"]
        config = config_for(synapse.url, account, agents=agents, rooms=rooms, flows=flows)
        bot = BotProcess(Path(folder) / "bot", config)
        bot.environment["PYTHONPATH"] = str(Path.cwd())
        await bot.start()
        async with Person(synapse.url, synapse.register("alice")) as alice:
            room = await alice.create_room(invite=[account.user_id])
            await alice.sees(room, "Hello")
            await alice.asks(room, "!note", "What shall I write down")
            answer = await alice.asks(room, "water the plants", "Written down")
            print("the flow answers in a room:", answer.body)
        await bot.stop()


asyncio.run(main())
'''


class Newcomer:
    """Somebody with an empty home, whose every step is timed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        self.seconds = 0.0

    def does(self, what: str, *command: str, within: Path | None = None) -> str:
        """Run a command, and print what it was and how long it took."""
        # the index that pip is set up with is this machine's, and not part of what is tried
        kept = {k: v for k, v in os.environ.items() if k.startswith("PIP_") or k == "PATH"}
        begun = time.monotonic()
        done = subprocess.run(  # noqa: S603
            command,
            cwd=within or self.folder,
            env={**kept, "HOME": str(self.home), "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
        )
        took = time.monotonic() - begun
        self.seconds += took
        click.echo(f"{took:7.1f} s  {what}")
        if done.returncode:
            sys.exit(f"it failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="strandline-newcomer-") as folder:
        someone = Newcomer(Path(folder))
        wheel = build(someone)
        someone.seconds = 0.0

        someone.does("python -m venv", sys.executable, "-m", "venv", "venv")
        tools = Path(folder) / "venv" / "bin"
        python, strandline = str(tools / "python"), str(tools / "strandline")
        wanted = f"strandline[test,diagrams] @ {wheel.as_uri()}"
        someone.does("pip install 'strandline[test,diagrams]'", python, *PIP, "install", wanted)
        someone.does(f"strandline new {PROJECT}", strandline, "new", PROJECT)

        project = Path(folder) / PROJECT
        (project / "talk.py").write_text(TALK)
        said = someone.does("its flow answers in a room", python, "talk.py", within=project)
        until_answer = someone.seconds

        tests = someone.does("its tests, with the kills", python, "-m", "pytest", within=project)
        lint = (strandline, "lint", "sea_notes", "--strict")
        someone.does("strandline lint", *lint, within=project)
        diagram = (strandline, "diagram", FLOW, "--output")
        someone.does(
            "its pictures are up to date", *diagram, "docs/flows", "--check", within=project
        )
        someone.does("its picture as PNG", *diagram, "pictures", "--format", "png", within=project)

        click.echo(said.strip())
        click.echo("\n".join(tests.strip().splitlines()[-2:]))
        told = f"from nothing to a first answer {until_answer:.1f} s, to the end"
        click.echo(f"{told} {someone.seconds:.1f} s")


def build(someone: Newcomer) -> Path:
    command = (*PIP, "wheel", "--no-deps", "--wheel-dir", str(someone.folder), str(ROOT))
    someone.does("(build the wheel)", sys.executable, *command)
    [wheel] = someone.folder.glob("strandline-*.whl")
    return wheel


if __name__ == "__main__":
    main()
