"""What an agent says is not trusted: whatever it is, only harmless HTML comes of it."""

import json
import time
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fsm.ids import EventId, TransactionId, UserId
from matrix.splitting import harmless, split
from matrix.text import edit_content, message_content, to_html

TXN = TransactionId("strandline.t.0")
TAGS = {
    *("a", "b", "blockquote", "br", "caption", "code", "del", "details", "em", "h1", "h2", "h3"),
    *("h4", "h5", "h6", "hr", "i", "li", "ol", "p", "pre", "s", "span", "strong", "sub", "summary"),
    *("sup", "table", "tbody", "td", "th", "thead", "tr", "u", "ul"),
}
ATTRIBUTES = {("a", "href"), ("a", "rel"), ("ol", "start"), ("code", "class")}
EVENT_BYTES = 65_536

SCHEMES = ["javascript:", "JaVaScRiPt:", "java\tscript:", "data:text/html,", "vbscript:", "//", ""]
PIECES = [
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "![x](http://evil/x.png)"),
    *("<svg/onload=alert(1)>", "<a href='javascript:x'>", "<style>*{}</style>", "<!--", "-->"),
    *("<mx-reply>", "<span data-mx-color=red>", "<iframe src=//evil>", "<math><mtext>", "</p>"),
    *("[a](javascript:alert(1))", "[a](data:text/html;base64,PHN2Zz4=)", "<javascript:alert(1)>"),
    *("[b](https://matrix.to/#/@bob:x)", "[b](https://matrix.to/#/%40bob:x)", "@room", "@bob:x"),
    *("<https://matrix.to/#/@bob:x>", "[b](matrix:u/bob:x)", "https://matrix.to/#/@bob:x"),
    *("[a]: javascript:x\n\n[a]", "&#106;avascript:", "&lt;script&gt;", "\\<script>", "`<b>`"),
    *(
        "```html\n<script>\n```\n",
        '~~~ " onclick=x\n',
        "> ",
        "- ",
        "1. ",
        "|a|b|\n|-|-|\n|",
        "\n\n",
    ),
    *("**", "_", "~~", "`", "```", "\x00", "\u202e", "\ud800", "\u200b", "\t", " ", "\n", "a", "("),
    *(")", "[", "]", "<", ">", '"', "'", "&", ";", "#", "\\", "x" * 50, "😀", "я"),
]
LINKS = st.builds(
    lambda scheme, rest, form: form.format(scheme + rest),
    st.sampled_from(SCHEMES),
    st.text(max_size=20),
    st.sampled_from(["[x]({})", "<{}>", "[x](<{}>)", '<a href="{}">x</a>', "[x][y]\n\n[y]: {}"]),
)
MARKDOWN = st.lists(st.sampled_from(PIECES) | LINKS | st.text(max_size=10), max_size=40).map(
    "".join
)


class Seen(HTMLParser):
    """Reads HTML as a client does, with a parser that has not made it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.odd: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))

    def handle_comment(self, data: str) -> None:
        self.odd.append(data)

    def handle_decl(self, decl: str) -> None:
        self.odd.append(decl)

    def handle_pi(self, data: str) -> None:
        self.odd.append(data)


def assert_harmless(rendered: str) -> None:
    seen = Seen()
    seen.feed(rendered)
    seen.close()
    assert seen.odd == []
    for tag, attributes in seen.found:
        assert tag in TAGS
        for name, value in attributes:
            assert (tag, name) in ATTRIBUTES
            if name == "href":
                assert value is not None
                assert value.lower().startswith(("http:", "https:", "mailto:"))
                is_person = "matrix.to" in value.lower() and "@" in unquote(value)
                assert not is_person
            if name == "class":
                assert value is not None
                assert value.startswith("language-")


@given(MARKDOWN | st.text())
@example("[x](https://matrix.to/#/%2540bob:x)")
@example("[x](HTTPS://MATRIX.TO/#/@bob:x)")
@example('``` " onload=x\n<script>\n```')
@settings(deadline=None)
def test_no_unsanitised_tag_passes(text: str) -> None:
    assert_harmless(to_html(harmless(text)))


@given(MARKDOWN)
@settings(deadline=None)
def test_nobody_is_mentioned_but_who_was_meant(text: str) -> None:
    alice = UserId("@alice:x")
    content = message_content(text, transaction_id=TXN, mention=alice)
    edit = edit_content(text, edits=EventId("$e"), transaction_id=TXN)

    assert content["m.mentions"] == {"user_ids": [alice]}
    assert edit["m.mentions"] == edit["m.new_content"]["m.mentions"] == {}


@given(MARKDOWN.map(lambda text: text * 200))
@settings(deadline=None, max_examples=30)
def test_every_piece_fits_an_event_encrypted_too(text: str) -> None:
    for piece in split(text[:100_000]):
        edit = edit_content(piece, edits=EventId("$" + "e" * 43), transaction_id=TXN)
        weight = len(json.dumps(edit).encode())
        clear = len(json.dumps(edit, ensure_ascii=False).encode())

        assert clear * 4 / 3 + 2_000 < EVENT_BYTES, weight


@pytest.mark.parametrize(
    "unit",
    ["[", "*", "_", "`", "> ", "<", "![", "**a ", "[a](", "- ", "|", "&", "\\", "1. ", "~~", "#"],
)
def test_no_text_takes_long_to_be_rendered(unit: str) -> None:
    """A first piece is rendered once an interval in each room: a slow one would hold up all."""
    text = split(unit * 20_000)[0]
    began = time.process_time()

    assert_harmless(to_html(text))

    assert time.process_time() - began < 3
