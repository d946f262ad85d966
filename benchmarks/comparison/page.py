"""The page of the docs that the measurement writes, with the programs as they are."""

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from attrs import frozen

from benchmarks.comparison.bots import PROGRAMS
from benchmarks.comparison.crowd import Tally
from benchmarks.comparison.lines import code_lines
from benchmarks.comparison.peers import versions

PAGE = Path(__file__).parents[2] / "docs" / "comparison.md"
TEXT = Path(__file__).with_name("page.md")


@frozen
class Entrant:
    """One of the bots: what it is called, and its program."""

    title: str
    program: str


ENTRANTS = {
    "strandline": Entrant("Strandline", "strandline_form.py"),
    "maubot": Entrant("maubot", "maubot/maubot_form.py"),
    "telegram": Entrant("python-telegram-bot", "telegram_form.py"),
    "aiogram": Entrant("aiogram", "aiogram_form.py"),
    "aiogram-one-by-one": Entrant("aiogram, one by one", "aiogram_form.py"),
}

ROWS = {
    "kills": "kills",
    "confirmed": "submissions confirmed to a person",
    "lost": "… of these not there afterwards",
    "wrong": "… stored with other answers than were given",
    "twice": "… stored twice",
    "messages": "messages of people",
    "unanswered": "… never answered: said again",
    "confused": "… taken for the answer to another question",
    "extra": "… answered more than once",
    "silent": "… stored without a word",
    "halfway": "forms half filled in at a kill",
    "kept": "… that simply went on",
    "told": "… whose author was told to begin anew",
    "stuck": "forms given up after five tries",
    "no_start": "starts that failed on the bot's own data",
}


def table(tallies: Mapping[str, Tally]) -> str:
    """What was seen, one column for each bot."""
    entrants = [ENTRANTS[name] for name in tallies]
    lines = [
        "| | " + " | ".join(entrant.title for entrant in entrants) + " |",
        "|---|" + "---:|" * len(entrants),
        _row("lines of code", [code_lines(PROGRAMS / entrant.program) for entrant in entrants]),
    ]
    for name, title in ROWS.items():
        lines.append(_row(title, [getattr(tally, name) for tally in tallies.values()]))
    medians = [round(tally.median_ms) for tally in tallies.values()]
    lines.append(_row("an undisturbed answer takes, ms (median)", medians))
    return "\n".join(lines)


def write(tallies: Mapping[str, Tally], python: Path, *, people: int, seed: int) -> None:
    """Write the page."""
    found = versions(python) | {"Strandline": version("strandline")}
    text = TEXT.read_text(encoding="utf-8")
    for gap, filling in {
        "TABLE": table(tallies),
        "DATE": f"{datetime.now(UTC):%Y-%m-%d}",
        "PEOPLE": str(people),
        "SEED": str(seed),
        "PYTHON": platform.python_version(),
        "VERSIONS": ", ".join(f"{name} {number}" for name, number in sorted(found.items())),
        "PROGRAMS": programs(),
    }.items():
        text = text.replace(f"<{gap}>", filling)
    PAGE.write_text(text, encoding="utf-8")


def programs() -> str:
    """The programs, as they stand in their files."""
    files = dict.fromkeys(entrant.program for entrant in ENTRANTS.values())
    titles = {entrant.program: entrant.title for entrant in reversed(ENTRANTS.values())}
    return "\n\n".join(
        f"### {titles[name]}\n\n```python\n{(PROGRAMS / name).read_text(encoding='utf-8')}```"
        for name in files
    )


def _row(title: str, values: list[int]) -> str:
    return f"| {title} | " + " | ".join(f"{value:,}" for value in values) + " |"
