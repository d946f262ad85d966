import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsm.values.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, naïve, 👩\u200d🔬", "plain, naïve, 👩\u200d🔬"),
        ("\x1b]0;owned\x07\x1b[2J", "\\x1b]0;owned\\x07\\x1b[2J"),
        ("\x9b31m\x7f\x00", "\\x9b31m\\x7f\\x00"),
        ("a\u202eb\u2066c\u200fd", "a\\u202eb\\u2066c\\u200fd"),
        ("one\rtwo\nthree\u2028four", "one\\rtwo\\nthree\\u2028four"),
        ("\ud800\ufeff", "\\ud800\\ufeff"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_lines_stay_where_they_are_wanted() -> None:
    assert printable("a\n\tb\r\x1b", lines=True) == "a\n\tb\\r\\x1b"


@given(st.text(st.characters()))
def test_whatever_is_printed_is_a_line_that_can_be_written(text: str) -> None:
    shown = printable(text)

    assert len(shown.splitlines()) <= 1
    assert not set(shown) & {*map(chr, range(32)), *map(chr, range(127, 160))}
    shown.encode()
