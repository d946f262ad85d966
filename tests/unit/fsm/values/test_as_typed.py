import pytest

from fsm.values.text import as_typed
from matrix.outbound.markdown import to_html


@pytest.mark.parametrize(
    "name",
    [
        "[free](https://example.org)",
        "**bold** _it_ `code` ~~gone~~",
        "<b>",
        "&copy;",
        "a|b",
        "# no heading",
        "back\\slash",
        "![picture](mxc://x/y)",
        "__init__ _x_ a__b__c 1_000_ M_FORBIDDEN _é_ю_",
    ],
)
def test_what_was_typed_is_shown_as_it_was_typed(name: str) -> None:
    shown = to_html(f"“{as_typed(name)}”")

    escaped = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert f"“{escaped}”" in shown


def test_it_is_on_one_line_and_without_what_is_not_seen() -> None:
    assert as_typed("a\n\n# b\u202ec\x1b[31m") == "a \\# bc\\[31m"
    assert as_typed("👩\u200d🔬") == "👩\u200d🔬"
    assert as_typed(None) == ""


def test_an_underscore_within_a_word_needs_no_backslash() -> None:
    assert as_typed("403 M_FORBIDDEN") == "403 M_FORBIDDEN"
