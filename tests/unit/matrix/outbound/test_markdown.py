import json
import re
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fsm.values.ids import EventId, TransactionId
from matrix.api.content import TRANSACTION_ID_KEY
from matrix.outbound.markdown import to_html
from matrix.outbound.messages import EDIT_FALLBACK_CHARS, edit_content, message_content
from matrix.outbound.split import harmless, split_text

TXN = TransactionId("strandline.t.0")
HEAVY = ["я", "\n", '"', "\\", "😀", "*a*", "> ", "- a\n", "&", "<", "|a|b|\n|-|-|\n", "|", "`"]


@given(st.text() | st.lists(st.sampled_from(HEAVY)).map("".join), st.integers(40, 200))
@example(" " * 100, 40)
@example("\n" * 100, 40)
def test_splitting_loses_nothing_but_space_at_the_cuts(text: str, limit: int) -> None:
    pieces = split_text(text, limit)

    assert "".join("".join(pieces).split()) == "".join(harmless(text).split())
    assert all(len(json.dumps(p, ensure_ascii=False).encode()) - 2 <= limit for p in pieces)
    assert pieces
    assert len(pieces) == 1 or all(piece.strip() for piece in pieces)


def test_text_is_split_at_paragraphs_then_lines_then_words() -> None:
    assert split_text("aaaa\n\nbbbb", 8) == ["aaaa", "bbbb"]
    assert split_text("aaaa\nbbbb", 8) == ["aaaa", "bbbb"]
    assert split_text("aaaa bbbb", 8) == ["aaaa", "bbbb"]
    assert split_text("aaaaabbbb", 8) == ["aaaaabbb", "b"]


def test_the_first_piece_of_a_growing_text_stays_where_it_is() -> None:
    grown = "word " * 10_000

    assert split_text(grown)[0] == split_text(grown[:30_000])[0]


def test_a_code_block_that_fits_a_piece_is_not_cut() -> None:
    code = "```python\n" + "x = 1\n" * 30 + "```"
    text = "words and words\n\n" * 10 + code + "\n\nthe end"

    first, second = split_text(text, 300)

    assert first.strip() == ("words and words\n\n" * 10).strip()
    assert second == f"{code}\n\nthe end"


def test_a_code_block_that_fits_no_piece_is_closed_and_opened_again() -> None:
    lines = [f"line {number}" for number in range(100)]
    text = "\n".join(["before", "~~~ sh", *lines, "~~~", "after"])

    pieces = split_text(text, 300)

    assert len(pieces) > 2
    assert all(piece.startswith("~~~ sh\n") for piece in pieces[1:])
    assert all(piece.endswith("\n~~~") for piece in pieces[:-1])
    assert pieces[-1].endswith("~~~\nafter")
    assert [li for piece in pieces for li in piece.split("\n") if li.startswith("line")] == lines


@pytest.mark.parametrize("length", range(940, 1010))
def test_a_cut_in_the_middle_of_a_line_of_code_loses_nothing_and_takes_no_line_for_the_end(
    length: int,
) -> None:
    text = f"```\n{'a' * length}```\n\nmore code\n```\nprose"

    pieces = split_text(text, 1000)

    assert all(len(json.dumps(piece)) - 2 <= 1000 for piece in pieces)
    said = [line for piece in pieces for line in piece.split("\n") if line != "```"]
    assert all(is_closed(piece) for piece in pieces)
    assert "".join(said) == f"{'a' * length}```more codeprose"
    assert pieces[-1] == "prose" or pieces[-1].endswith("more code\n```\nprose")


def test_blank_lines_of_code_are_kept_at_a_cut() -> None:
    lines = ["one", "", "", "two", ""] * 60
    text = "\n".join(["```", *lines, "```"])

    pieces = split_text(text, 300)

    code = [line for piece in pieces for line in piece.split("\n") if line != "```"]
    assert code == lines


def test_no_blank_line_of_code_is_taken_for_the_end_of_a_paragraph() -> None:
    code = "```py\na = 1\n\nb = 2\n```"
    text = f"{'w ' * 60}\n{code}\n{'x' * 60}\n{'y' * 100}"

    first, second = split_text(text, 250)

    assert first.endswith(f"{code}\n{'x' * 60}")
    assert second == "y" * 100


@pytest.mark.parametrize("limit", range(241, 320))
def test_what_was_inside_of_a_list_begins_a_piece_at_the_margin(limit: int) -> None:
    """Or its indentation would make code of it."""
    step = "{}. Do this:\n\n    ```sh\n    run\n\n    again\n    ```\n\n    - and that\n\n"
    text = "".join(step.format(number) for number in range(1, 20))

    shown = "".join(to_html(piece) for piece in split_text(text, limit))

    assert shown.count('<pre><code class="language-sh">run\n\nagain\n</code></pre>') == 19
    assert shown.count("<li>and that</li>") == shown.count("Do this:") == 19
    assert shown.count("<pre>") == 19
    assert "```" not in shown


@pytest.mark.parametrize("margin", ["", "> ", "- ", "1. ", "> - ", "* - 1. "])
def test_a_code_block_inside_of_quotes_and_lists_is_closed_and_opened_again(margin: str) -> None:
    inside = "".join(c if c in " >" else " " for c in margin)
    lines = [f"line {number}" for number in range(100)]
    block = [f"{margin}```sh", *(inside + line for line in [*lines, "```"])]
    text = "\n".join(["words", "", *block, "", "after"])

    pieces = split_text(text, 300)

    shown = "".join(to_html(piece) for piece in pieces)
    code = re.findall('(?s)<pre><code class="language-sh">(.*?)</code>', shown)
    assert len(pieces) == len(code) > 2
    assert "".join(code).split() == " ".join(lines).split()
    assert "<p>after</p>" in to_html(pieces[-1])


CODE = ["```", "```python", "~~~", "````", "some code", "a longer line of words", "    four", ""]


@given(st.lists(st.sampled_from(CODE), max_size=200).map("\n".join), st.integers(241, 500))
def test_no_piece_leaves_a_code_block_open_unless_the_text_does(text: str, limit: int) -> None:
    pieces = split_text(text, limit)

    for piece in pieces[:-1]:
        assert is_closed(piece), pieces
    said = [line.strip() for line in text.split("\n") if is_words(line)]
    assert [li.strip() for p in pieces for li in p.split("\n") if is_words(li)] == said
    assert all(len(json.dumps(p).encode()) - 2 <= limit for p in pieces)


@given(
    st.lists(st.sampled_from([*CODE, "- item", "  - sub", "> ```"]), min_size=20).map("\n".join),
    st.integers(241, 400),
    st.integers(241, 2000),
)
def test_the_first_piece_stays_wherever_the_text_has_grown_to(
    text: str, limit: int, so_far: int
) -> None:
    pieces = split_text(text[:so_far], limit)

    if len(pieces) > 1:
        assert split_text(text, limit)[0] == pieces[0]


def is_words(line: str) -> bool:
    return bool(line.strip()) and not line.strip().startswith(("`", "~"))


def is_closed(piece: str) -> bool:
    """Whether text that follows the piece is text, and no code."""
    return "<p>canary</p>" in to_html(f"{piece}\n\ncanary")


@pytest.mark.parametrize("heavy", HEAVY)
def test_every_piece_fits_an_event_even_when_it_is_encrypted(heavy: str) -> None:
    text = heavy * (60_000 // len(heavy))
    event = EventId("$" + "e" * 254)

    for piece in split_text(text)[:2]:
        contents = (
            message_content(piece, in_reply_to=event, transaction_id=TXN),
            edit_content(piece, edits=event, transaction_id=TXN),
        )
        for content in contents:
            clear = json.dumps({"content": content, "room_id": "!" + "r" * 254}, ensure_ascii=False)
            sealed = len(clear.encode()) * 4 / 3 + 2_000
            assert sealed < 65_536 - 4_000


def test_an_empty_text_is_one_empty_piece() -> None:
    assert split_text("") == [""]


def test_markdown_becomes_html_and_plain_text_stays_plain() -> None:
    rich = message_content("**now**", transaction_id=TXN)
    plain = message_content("a < b", transaction_id=TXN)

    assert rich["formatted_body"] == "<p><strong>now</strong></p>"
    assert rich["body"] == "**now**"
    assert plain == {
        "msgtype": "m.text",
        "body": "a < b",
        "m.mentions": {},
        TRANSACTION_ID_KEY: TXN,
    }


@pytest.mark.parametrize(
    ("text", "never"),
    [
        ("<script>alert(1)</script>", "<script"),
        ("<img src=x onerror=y>", "<img"),
        ("![x](https://example.org/x.png)", "<img"),
        ("[x](javascript:alert(1))", "href"),
        ("[x](data:text/html,x)", "href"),
        ("`a` <b onclick=x>", "<b onclick"),
    ],
)
def test_html_that_could_harm_does_not_leave(text: str, never: str) -> None:
    assert never not in to_html(text)


def test_links_can_be_followed_and_code_keeps_its_language() -> None:
    assert "href" not in to_html("[a](https://matrix.to/#/@a:b)"), "no mention of who was not meant"
    assert 'href="https://matrix.to/#/!r:b"' in to_html("[a](https://matrix.to/#/!r:b)")
    assert 'class="language-py"' in to_html("```py\nx\n```")


def test_tricks_with_the_direction_of_writing_do_not_leave() -> None:
    content = message_content("a\u202egnp.exe\u2069\x00\x1b[2J\ud800b\r\nc", transaction_id=TXN)

    assert content["body"] == "agnp.exe[2Jb\nc"


def test_nobody_is_pinged() -> None:
    message = message_content("@room", transaction_id=TXN)
    edit = edit_content("@room", edits=EventId("$e"), transaction_id=TXN)

    assert message["m.mentions"] == edit["m.mentions"] == edit["m.new_content"]["m.mentions"] == {}


ROOM = ["@room", "@Room!", "`@room`", "@\x00room", "<info@room.com>", "&#64;room", "@roomы"]


@pytest.mark.parametrize("text", ROOM)
def test_a_word_that_would_call_a_whole_room_is_broken_up_unseen(text: str) -> None:
    """For homeservers and clients that don't know ``m.mentions`` yet."""
    content = message_content(text, transaction_id=TXN)
    long = "x" * (EDIT_FALLBACK_CHARS - 5) + "@roommate"
    edit = edit_content(long, edits=EventId("$e"), transaction_id=TXN)

    for said in (content["body"], content.get("formatted_body", ""), edit["body"]):
        assert not re.search(r"(?ia)>[^<]*@room\b|^[^<]*@room\b", said)
    assert edit["m.new_content"]["body"] == long


def test_links_with_such_a_word_stay_as_they_are() -> None:
    content = message_content("[x](https://example.org/@room/1)", transaction_id=TXN)

    assert 'href="https://example.org/@room/1"' in content["formatted_body"]


@pytest.mark.parametrize(
    "link",
    [
        "https://matrix.to/#/@bob:x",
        "https://matrix.to/#/%40bob:x?via=x",
        "https://matrix.to/%23/@bob:x",
        "https://app.element.io/#/user/@bob:x",
        "matrix:u/bob:x",
    ],
)
def test_a_link_to_a_person_is_no_link(link: str) -> None:
    assert "href" not in to_html(f"[bob]({link})")
    assert "bob" in to_html(f"[bob]({link})")


def test_a_table_with_more_cells_than_can_be_shown_takes_no_time() -> None:
    wide = "|" + "a|" * 90 + "\n|" + "-|" * 90 + "\n" + "|\n" * 8_000
    several = "|a|b|\n|-|-|\n|1|2|\n\nand\n\n|c|\n|-|\n|3|"

    assert to_html(split_text(wide)[0]).count("<td>") < 2_400
    assert to_html(several).count("<td>") == 3


def test_a_text_with_thousands_of_brackets_has_no_html() -> None:
    assert "formatted_body" not in message_content("[" * 4_000, transaction_id=TXN)


def test_an_edit_replaces_the_whole_text() -> None:
    edit = edit_content("*new*", edits=EventId("$e"), transaction_id=TXN)

    assert edit["m.relates_to"] == {"rel_type": "m.replace", "event_id": "$e"}
    assert edit["m.new_content"]["formatted_body"] == "<p><em>new</em></p>"
    assert (edit["body"], edit[TRANSACTION_ID_KEY]) == ("* *new*", TXN)


def test_a_reply_names_what_it_answers_and_a_notice_says_so() -> None:
    content = message_content("x", in_reply_to=EventId("$q"), notice=True, transaction_id=TXN)

    assert content["m.relates_to"] == {"m.in_reply_to": {"event_id": "$q"}}
    assert content["msgtype"] == "m.notice"


def test_the_rules_are_compiled_before_threads_use_them() -> None:
    """In a process of its own: in this one, a text has been rendered before."""
    rules = "m.core.ruler, m.block.ruler, m.inline.ruler, m.inline.ruler2"
    imports = "from matrix.outbound.markdown import _MARKDOWN as m"
    program = f"{imports}; assert all(r.__cache__ for r in ({rules}))"

    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603
