"""``make reference``: writes signatures and docstrings into the pages of docs/reference.

What stands between a marker and ``<!-- end -->`` is written here; all else is written by hand::

    <!-- reference: strandline.State is_durable data_type -->   a class with these members
    <!-- reference: strandline.Turn -->                         with all that have a docstring
    <!-- table: strandline.RoomId strandline.UserId -->         a line for each name
    <!-- commands -->                                           what each command says of itself
    <!-- file: config.example.yaml -->                          a file of the repository
"""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from strandline.cli.main import cli
from tests.support.docstrings import Section, sections
from tests.support.sources import Definition, definition, members, signature

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "reference"

MARKED = re.compile(
    r"^<!-- (?P<kind>reference|table|commands|file)(?:: (?P<rest>[^\n]*?))? -->\n"
    r"(?P<text>.*?)^<!-- end -->$",
    re.MULTILINE | re.DOTALL,
)


def up_to_date(page: str) -> str:
    """The page with what its markers ask for."""

    def written(found: re.Match[str]) -> str:
        level = _level(page[: found.start()])
        text = WRITERS[found["kind"]]((found["rest"] or "").split(), level)
        marker = found[0].partition("\n")[0]
        return f"{marker}\n\n{text.strip()}\n\n<!-- end -->"

    return MARKED.sub(written, page)


def names_in(page: str) -> Iterator[str]:
    """The import paths of all names that the page describes."""
    for found in MARKED.finditer(page):
        words = (found["rest"] or "").split()
        if found["kind"] == "reference":
            yield words[0]
        elif found["kind"] == "table":
            yield from words


def _level(before: str) -> int:
    """How deep the heading of a name is: one below the last one that is written by hand."""
    by_hand = re.findall(r"^(##?) ", MARKED.sub("", before), re.MULTILINE)
    return len(by_hand[-1]) + 1 if by_hand else 2


def _reference(words: list[str], level: int) -> str:
    path, *chosen = words
    found = definition(path)
    parts = [_described(found, found.name, level)]
    parts += [
        _described(member, f"{found.name}.{member.name}", level + 1)
        for member in members(found, chosen)
    ]
    return "\n\n".join(parts)


def _described(found: Definition, heading: str, level: int) -> str:
    shown = signature(found)
    code = f"```python\n{shown}\n```" if shown else ""
    body = [_section(section) for section in sections(found.doc)]
    return "\n\n".join(filter(None, [f"{'#' * level} `{heading}`", code, *body]))


def _section(section: Section) -> str:
    if not section.items:
        return _prose(section.text)
    lines = [f"- {f'`{name}`: ' if name else ''}{_prose(text)}" for name, text in section.items]
    return "\n".join((f"{section.title}:", "", *lines))


def _table(words: list[str], _level: int) -> str:
    lines = ["| name | meaning |", "|---|---|"]
    for path in words:
        found = definition(path)
        meaning = _prose(found.doc.partition("\n\n")[0]).replace("|", "\\|")
        lines.append(f"| `{path.rpartition('.')[2]}` | {' '.join(meaning.split())} |")
    return "\n".join(lines)


def _commands(_words: list[str], level: int) -> str:
    return "\n\n".join(_command(cli, None, level))


def _command(command: click.Command, parent: click.Context | None, level: int) -> Iterator[str]:
    name = command.name if parent else "strandline"
    context = click.Context(command, parent=parent, info_name=name, terminal_width=88)
    context.help_option_names = ["-h", "--help"]
    text = f"```text\n{command.get_help(context)}\n```"
    yield f"{'#' * level} {context.command_path}\n\n{text}"
    if isinstance(command, click.Group):
        inner = [command.get_command(context, each) for each in command.list_commands(context)]
        for found in filter(None, inner):
            yield from _command(found, context, level)


def _file(words: list[str], _level: int) -> str:
    path = ROOT / words[0]
    return f"```{path.suffix.removeprefix('.')}\n{path.read_text(encoding='utf-8').strip()}\n```"


def _prose(text: str) -> str:
    """Docstrings have code in two backticks, Markdown in one."""
    return re.sub(r"``([^`]+)``", r"`\1`", text)


WRITERS: dict[str, Callable[[list[str], int], str]] = {
    "reference": _reference,
    "table": _table,
    "commands": _commands,
    "file": _file,
}


def main() -> None:
    """Write all pages."""
    for path in sorted(PAGES.glob("*.md")):
        old = path.read_text(encoding="utf-8")
        new = up_to_date(old)
        if new != old:
            path.write_text(new, encoding="utf-8")
            sys.stdout.write(f"{path.relative_to(ROOT)} is written\n")


if __name__ == "__main__":
    main()
