"""Pages of the docs as their reader follows them: files are written, commands run, rooms talked in.

A fenced block with a title is a file, one of ``console`` is commands with what they print, one of
``room`` is what people and the bot say. In what is printed, ``…`` stands for anything.
"""

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import pytest
from attrs import frozen

from fsm.values.ids import RoomId
from strandline.testing import Person

DOCS = Path(__file__).parent.parent.parent / "docs"

FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,})(?P<kind>[\w-]+)(?P<info>[^\n]*)\n"
    r"(?P<text>.*?)^(?P=indent)(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
TITLE = re.compile(r'title="([^"]+)"')


@frozen
class Block:
    """A fenced block.

    Args:
        title: The name of the file that it shows, if it shows one.
        line: Where it begins in its page.
    """

    kind: str
    title: str | None
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    source = page.read_text(encoding="utf-8")
    return [_block(source, found) for found in FENCE.finditer(source)]


def _block(source: str, found: re.Match[str]) -> Block:
    title = TITLE.search(found["info"])
    lines = found["text"].splitlines(keepends=True)
    return Block(
        kind=found["kind"],
        title=title[1] if title else None,
        text="".join(line.removeprefix(found["indent"]) for line in lines),
        line=source.count("\n", 0, found.start()) + 1,
    )


def write(block: Block, folder: Path, replaced: Mapping[str, str] | None = None) -> None:
    """Write the file that a block shows, with what is the reader's own put in."""
    assert block.title is not None
    path = folder / block.title
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(put_in(block.text, replaced or {}), encoding="utf-8")


def put_in(text: str, replaced: Mapping[str, str]) -> str:
    for example, own in replaced.items():
        text = text.replace(example, own)
    return text


@frozen
class Run:
    """A command of a ``console`` block and what the page says that it prints."""

    command: str
    printed: str


def runs(block: Block) -> Iterator[Run]:
    command, *commands = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    assert not command, f"line {block.line}: a console block begins with a command"
    for each in commands:
        command, _, printed = each.partition("\n")
        yield Run(command, printed)


def is_as_said(printed: str, said: str) -> bool:
    """Whether a command has printed what the page says."""
    pattern = re.escape(said.strip()).replace("…", ".*")
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


def paths(first: Path, rest: str | None) -> str:
    return os.pathsep.join(filter(None, (str(first), rest)))


class Shell:
    """A shell in a folder, in an environment that already holds what the page has pip install."""

    def __init__(self, folder: Path) -> None:
        own = {"PATH": paths(Path(sys.executable).parent, os.environ["PATH"])}
        self._folder = folder
        self._process = subprocess.Popen(
            ["bash"],  # noqa: S607  # the reader's
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            env={**os.environ, **own, "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        os.killpg(self._process.pid, 9)
        self._process.communicate()

    def run(self, command: str) -> tuple[int, str]:
        """Run a command; its exit code, and what it has printed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f'{command}\nprintf "\\n:ended:%s\\n" $?\n')
        self._process.stdin.flush()
        printed = ""
        for line in self._process.stdout:
            if line.startswith(":ended:"):
                self._fill_environments()
                return int(line.removeprefix(":ended:")), printed
            printed += line
        pytest.fail(f"the shell ended: {printed}")

    def _fill_environments(self) -> None:
        """Let a virtual environment that was made have what this one has."""
        here = sysconfig.get_paths()["purelib"]
        for config in self._folder.glob("*/.venv/pyvenv.cfg"):
            for packages in config.parent.glob("lib/python*/site-packages"):
                line = f"import site; site.addsitedir({here!r})\n"
                (packages / "installed.pth").write_text(line)


def carry_out(block: Block, shell: Shell, replaced: Mapping[str, str] | None = None) -> None:
    """Run the commands of a ``console`` block, and hold them to what it says that they print."""
    for run in runs(block):
        code, printed = shell.run(put_in(run.command, replaced or {}))
        where = f"line {block.line}: {run.command} printed:\n{printed}"
        assert code == 0, where
        assert not run.printed or is_as_said(printed, run.printed), where


async def talk(block: Block, person: Person, room: RoomId) -> None:
    """Say what the person says in a ``room`` block, and see the bot say what it says."""
    said = None
    for line in block.text.splitlines():
        speaker, text = line.split(maxsplit=1)
        if speaker == "bot":
            await person.sees(room, f"^{re.escape(text)}$", after=said)
        else:
            said = await person.say(room, text)
