"""The comparison with other frameworks, as far as it needs none of them."""

from pathlib import Path

from benchmarks.comparison.lines import code_lines
from benchmarks.comparison.page import PAGE, programs
from benchmarks.comparison.programs.strandline_form import Form, Submissions
from strandline.testing import Rehearsal


def test_the_page_shows_the_programs_as_they_are() -> None:
    assert programs() in PAGE.read_text(encoding="utf-8")


def test_blank_lines_comments_and_docstrings_are_no_code(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(
        '"""What it is\nfor."""\n\n# why\nx = """\ntext\n"""\n\n\ndef f():\n    """So."""\n'
    )

    assert code_lines(path) == 4


async def test_the_form_keeps_what_was_submitted_and_forgets_what_was_half_typed() -> None:
    rehearsal = Rehearsal(Form(), Submissions())

    heard = []
    for text in ("!form", "Ann", "none", "41", "yes", "!form", "Bea"):
        await rehearsal.says(text)
        heard.append(rehearsal.said)
    rehearsal.restart()
    for text in ("41", "!submitted"):
        await rehearsal.says(text)
        heard.append(rehearsal.said)

    assert heard == [
        "What is your name?",
        "How old are you?",
        "Please give a whole number from 1 to 150.",
        "Send it? (yes/no)",
        "Stored as no. 1.",
        "What is your name?",
        "How old are you?",
        "No form is open. !form begins one.",
        "1: Ann (41)",
    ]
