"""What an agent says is not trusted: whatever it is, only harmless HTML comes of it."""

import json
import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nio.crypto import OutboundGroupSession

from fsm.values.ids import EventId, TransactionId, UserId
from matrix.outbound.markdown import to_html
from matrix.outbound.messages import edit_content, message_content
from matrix.outbound.split import harmless, split_text
from tests.support.steps import within_steps

TXN = TransactionId("strandline.t.0")
TAGS = {
    *("a", "b", "blockquote", "br", "caption", "code", "del", "details", "em", "h1", "h2", "h3"),
    *("h4", "h5", "h6", "hr", "i", "li", "ol", "p", "pre", "s", "span", "strong", "sub", "summary"),
    *("sup", "table", "tbody", "td", "th", "thead", "tr", "u", "ul"),
}
ATTRIBUTES = {("a", "href"), ("a", "rel"), ("ol", "start"), ("code", "class")}
HEAD = EventId("$" + "e" * 43)
EVENT_BYTES = 65_536
OF_THE_HOMESERVER = 4_000
"""What it adds to an event that counts: up to 20 events before it, hashes, signatures."""

FENCE = re.compile(r"[ >\-*+.\d)]*(```|~~~)")
SPACE_AND_FENCES = dict.fromkeys(map(ord, "`~>\u2060"))
EVERYBODY = re.compile("@room(?![a-z0-9_])", re.IGNORECASE)

SCHEMES = ["javascript:", "JaVaScRiPt:", "java\tscript:", "data:text/html,", "vbscript:", "//", ""]
PIECES = [
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "![x](http://evil/x.png)"),
    *("<svg/onload=alert(1)>", "<a href='javascript:x'>", "<style>*{}</style>", "<!--", "-->"),
    *("<mx-reply>", "<span data-mx-color=red>", "<iframe src=//evil>", "<math><mtext>", "</p>"),
    *("[a](javascript:alert(1))", "[a](data:text/html;base64,PHN2Zz4=)", "<javascript:alert(1)>"),
    *("[b](https://matrix.to/#/@bob:x)", "[b](https://matrix.to/#/%40bob:x)", "@room", "@bob:x"),
    *("<https://matrix.to/#/@bob:x>", "[b](matrix:u/bob:x)", "https://matrix.to/#/@bob:x"),
    *("[b](https://app.element.io/#/user/@bob:x)", "&#64;room", "@\x00room", "[b](http://x/@room)"),
    *(
        "&#106;&#x61;vascript&colon;",
        "java&Tab;script:",
        "&NewLine;",
        "%6Aavascript:",
        "<base href=",
    ),
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
        self.said = ""

    def handle_data(self, data: str) -> None:
        self.said += data

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
    assert not EVERYBODY.search(seen.said.replace("\n", " "))
    for tag, attributes in seen.found:
        assert tag in TAGS
        for name, value in attributes:
            assert (tag, name) in ATTRIBUTES
            if name == "href":
                assert value is not None
                assert value.lower().startswith(("http:", "https:", "mailto:"))
                assert "@" not in unquote(value).partition("#")[2]
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


@given(MARKDOWN | st.text())
@settings(deadline=None)
def test_nobody_is_mentioned_but_who_was_meant(text: str) -> None:
    alice = UserId("@alice:x")
    content = message_content(text, transaction_id=TXN, mention=alice)
    edit = edit_content(text, edits=EventId("$e"), transaction_id=TXN)

    assert content["m.mentions"] == {"user_ids": [alice]}
    assert edit["m.mentions"] == edit["m.new_content"]["m.mentions"] == {}
    for said in (content["body"], edit["body"], edit["m.new_content"]["body"]):
        assert not EVERYBODY.search(said)


@given(MARKDOWN.filter(str.strip), st.integers(1, 300_000))
@example("@room ", 100_000)
@example("я", 300_000)
@example('"', 300_000)
@example("*a* ", 300_000)
@settings(deadline=None, max_examples=20)
def test_every_piece_fits_an_event_encrypted_too_and_nothing_is_lost(text: str, size: int) -> None:
    text = (text * (size // len(text) + 1))[:size]
    pieces = split_text(text)

    assert words("\n".join(pieces)) == words(harmless(text))
    for piece in (*pieces[:3], pieces[-1]):
        event = {
            "type": "m.room.encrypted",
            "content": sealed(edit_content(piece, edits=HEAD, transaction_id=TXN)),
        }
        assert len(json.dumps(event).encode()) + OF_THE_HOMESERVER < EVENT_BYTES


def words(text: str) -> str:
    """The text without space and fences: a code block that is cut has those twice."""
    lines = (line for line in text.split("\n") if not FENCE.match(line))
    return "".join("".join(lines).translate(SPACE_AND_FENCES).split())


def sealed(content: dict[str, Any]) -> dict[str, Any]:
    """As it is sent to an encrypted room."""
    clear = json.dumps(
        {"type": "m.room.message", "content": content, "room_id": "!" + "r" * 254},
        ensure_ascii=False,
        separators=(",", ":"),
    )
    session = OutboundGroupSession()
    session.mark_as_shared()
    return {
        "algorithm": "m.megolm.v1.aes-sha2",
        "sender_key": "k" * 43,
        "ciphertext": session.encrypt(clear),
        "session_id": "s" * 43,
        "device_id": "d" * 50,
        "m.relates_to": content["m.relates_to"],
    }


MAX_STEPS = 40_000_000
"""26,000,000 were the most. Quotes that go on without a ``>`` took 800,000,000."""


@pytest.mark.parametrize(
    "unit",
    [
        *("[a]\n>>\n", "a\n=\n>>\n>>\n", "a\n" + ">\n>>\n" * 10, "- - [\n"),
        ">" * 19 + "a\n" + "b\n" * 8_900,
        "|a" * 500 + "\n" + "|-" * 500 + "\n" + "|\n" * 20,
    ],
)
def test_no_text_takes_many_steps_to_be_shown(unit: str) -> None:
    assert_shown_in_few_steps(unit)


@pytest.mark.parametrize(
    "unit",
    [
        *("[", "*", "_", "`", "> ", "<", "![", "**a ", "[a](", "- ", "|", "&", "\\", "1. ", "~~"),
        *("#", "[\n", "- a\n", "|\n", "_a*b", "a\\\n", "[a]: b\n", "@room ", "<!--", "> - "),
        *("``` \n", "*_*_", "**a*"),
    ],
)
def test_no_repeated_mark_takes_many_steps_to_be_shown(unit: str) -> None:
    assert_shown_in_few_steps(unit)


def assert_shown_in_few_steps(unit: str) -> None:
    text = unit * (300_000 // len(unit))

    content = within_steps(
        MAX_STEPS, lambda: message_content(split_text(text)[0], transaction_id=TXN)
    )

    assert_harmless(content.get("formatted_body", ""))
