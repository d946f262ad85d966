"""Docstrings in Google's form, in parts."""

import inspect
import re
from collections.abc import Iterator
from textwrap import dedent

from attrs import frozen

TITLES = ("Args", "Attributes", "Returns", "Raises", "Yields")


@frozen
class Section:
    """A part of a docstring: prose, or a list under a title.

    Args:
        title: ``Args`` or another of ``TITLES``; empty for prose.
        text: The prose.
        items: Name and text of each item; the name is empty where the list has one text alone.
    """

    title: str = ""
    text: str = ""
    items: tuple[tuple[str, str], ...] = ()


def sections(doc: str) -> Iterator[Section]:
    """The parts of a docstring, in order."""
    pattern = rf"^(?:{'|'.join(TITLES)}):\n(?:(?: +[^\n]*)?(?:\n|\Z))+"
    place = 0
    text = inspect.cleandoc(doc)
    for found in re.finditer(pattern, text, re.MULTILINE):
        yield from _prose(text[place : found.start()])
        yield _listed(found[0])
        place = found.end()
    yield from _prose(text[place:])


def _prose(text: str) -> Iterator[Section]:
    """Prose, with a literal block as Markdown has it."""
    lines = [line for line in text.strip().split("\n") if line != "::"]
    plain = re.sub(r"::$", ":", "\n".join(lines), flags=re.MULTILINE)
    if plain.strip():
        yield Section(text=plain.strip())


def _listed(text: str) -> Section:
    title, _, rest = text.partition(":\n")
    body = dedent(rest).strip()
    if title in ("Returns", "Yields"):
        return Section(title, items=(("", _joined(body)),))
    entries = re.split(r"^(?=\S)", body, flags=re.MULTILINE)
    pairs = [entry.partition(":") for entry in entries if entry.strip()]
    return Section(title, items=tuple((name.strip(), _joined(about)) for name, _, about in pairs))


def _joined(text: str) -> str:
    return " ".join(text.split())
