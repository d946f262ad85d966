"""The reference can be read in the repository: signatures and docstrings are in the Markdown."""

from pathlib import Path

import pytest

from tests.support.docstrings import Section, sections
from tests.support.reference import PAGES, up_to_date
from tests.support.sources import definition, signature

DOCSTRING = """Give a message another text.

Else::

    turn.edit("x")

Args:
    text: Markdown,
        on two lines.
    event_id: The message.

Raises:
    TurnError: No message.

After it, more.
"""


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.name)
def test_the_page_has_what_the_docstrings_say_now(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    assert up_to_date(text) == text, "run `make reference`"
    assert ":::" not in text  # no directive that only a site generator would follow
    assert "--8<--" not in text


def test_a_docstring_is_read_in_parts() -> None:
    assert list(sections(DOCSTRING)) == [
        Section(text='Give a message another text.\n\nElse:\n\n    turn.edit("x")'),
        Section("Args", items=(("text", "Markdown, on two lines."), ("event_id", "The message."))),
        Section("Raises", items=(("TurnError", "No message."),)),
        Section(text="After it, more."),
    ]


def test_a_signature_is_as_the_source_has_it() -> None:
    assert signature(definition("strandline.minutes")) == "def minutes(count: float) -> timedelta"
    assert signature(definition("strandline.React")) == (
        "React(*, room_id: RoomId, event_id: EventId, key: str)"
    )
    assert signature(definition("strandline.RoomId")) == 'RoomId = NewType("RoomId", str)'


def test_a_marker_is_filled_one_level_below_its_section() -> None:
    page = "# Page\n\n## Part\n\n<!-- reference: strandline.seconds -->\nold\n<!-- end -->\n"

    assert up_to_date(page) == (
        "# Page\n\n## Part\n\n<!-- reference: strandline.seconds -->\n\n"
        "### `seconds`\n\n```python\ndef seconds(count: float) -> timedelta\n```\n\n"
        "Return a duration of `count` seconds, for `State(expires=…)`.\n\n<!-- end -->\n"
    )
