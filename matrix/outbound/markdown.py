"""Renders Markdown as HTML that is safe to show. Pure."""

import html
import re
from urllib.parse import quote, unquote

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, fence, table

from matrix.outbound.split import NOBODY, weight

HTML_LIMIT = 24_000
"""Maximum bytes of a message's HTML. A message with longer HTML is sent as plain text only."""

MAX_CELLS = HTML_LIMIT // len("<td></td>\n")
"""Maximum number of cells of all tables in a message."""

MAX_BRACKETS = 3_000
"""Maximum number of ``[`` in a text that is rendered: the time that the parser takes to find links
grows with the square of this number."""

MAX_LINES = 30_000
"""Maximum number of line visits of the parser for one text. If the lines of a quote continue
without ``>``, the parser visits all remaining lines again at each line."""

# No images: they could be fetched from anywhere. No raw HTML: it is shown as text.
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": True})
_MARKDOWN.enable(["table", "strikethrough"]).disable("image")


class _TooComplex(Exception):
    """Rendering the text takes too long."""


def _counted_fence(state: StateBlock, start: int, end: int, silent: bool) -> bool:  # noqa: FBT001
    """Apply the parser's rule for fenced code blocks, and count the visited line.

    The parser calls this rule at each line that it visits.

    Returns:
        Whether a code block begins at this line.

    Raises:
        _TooComplex: The parser has visited ``MAX_LINES`` lines.
    """
    left = state.env.get("lines", MAX_LINES)
    if left == 0:
        raise _TooComplex
    state.env["lines"] = left - 1
    return fence(state, start, end, silent)


def _small_table(state: StateBlock, start: int, end: int, silent: bool) -> bool:  # noqa: FBT001
    """Apply the parser's rule for tables, limited to ``MAX_CELLS`` cells in all tables of the text.

    Without the limit, a few characters could make 65,000 cells.

    Returns:
        Whether a table begins at this line.
    """
    columns = state.src[state.bMarks[start] : state.eMarks[start]].count("|") + 1
    left = state.env.get("cells", MAX_CELLS)
    if columns > left or not table(state, start, min(end, start + 2 + left // columns), silent):
        return False
    if not silent:
        state.env["cells"] = left - columns * (state.line - start)
    return True


_MARKDOWN.block.ruler.at("table", _small_table, {"alt": ["paragraph", "reference"]})
_MARKDOWN.block.ruler.at(
    "fence", _counted_fence, {"alt": ["paragraph", "reference", "blockquote", "list"]}
)
_MARKDOWN.render("a")  # the first text compiles the rules, which is not thread-safe

# The tags that Matrix clients should support (client-server API, "m.room.message msgtypes"),
# without images and colours.
_TAGS = {
    *("a", "b", "blockquote", "br", "caption", "code", "del", "details", "em", "h1", "h2", "h3"),
    *("h4", "h5", "h6", "hr", "i", "li", "ol", "p", "pre", "s", "span", "strong", "sub"),
    *("summary", "sup", "table", "tbody", "td", "th", "thead", "tr", "u", "ul"),
}
_ATTRIBUTES = {"a": {"href"}, "ol": {"start"}, "code": {"class"}}
_SCHEMES = {"http", "https", "mailto"}

_ABSOLUTE = re.compile("https?://|mailto:", re.IGNORECASE)
_TAG_OR_ROOM = re.compile("<[^>]*>|@(?=room(?![A-Za-z0-9_]))", re.IGNORECASE)
_QUOTED_NOBODY = quote(NOBODY.removeprefix("@"))
_LANGUAGE = re.compile(r"language-[\w+#.-]{1,30}")


def to_html(text: str) -> str:
    """Render Markdown as safe HTML: no scripts, no images, only absolute links.

    Links to users lose their URL, because clients would show them as mentions.

    Raises:
        _TooComplex: Rendering would take too long.
    """
    clean = nh3.clean(
        _MARKDOWN.render(text),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=_harmless_attribute,
        url_schemes=_SCHEMES,
        link_rel="noopener",
    )
    # "&#64;room" is no "@room" before it is rendered
    return _TAG_OR_ROOM.sub(
        lambda found: found[0].replace("@", NOBODY, found[0] == "@"), clean
    ).strip()


def html_of(body: str) -> str | None:
    """Return the HTML of a message's body.

    Returns:
        None if the HTML adds nothing to the body, or is too long, or if rendering would take too
        long.
    """
    if body.count("[") > MAX_BRACKETS:
        return None
    try:
        rendered = to_html(body)
    except _TooComplex:
        return None
    is_plain = rendered == f"<p>{html.escape(body, quote=False)}</p>"
    return None if is_plain or weight(rendered) > HTML_LIMIT else rendered


def _harmless_attribute(_tag: str, attribute: str, value: str) -> str | None:
    if attribute == "class" and not _LANGUAGE.fullmatch(value):
        return None
    if attribute == "href":
        value = value.replace(_QUOTED_NOBODY, "")
        return value if _ABSOLUTE.match(value) and not _is_mention(value) else None
    return value


def _is_mention(url: str) -> bool:
    """Return whether the URL is a link to a user.

    Links to users at matrix.to (Matrix specification, "matrix.to navigation") and at web clients
    have the user id in the fragment.
    """
    plain = unquote(unquote(url)).casefold()
    return "@" in plain.partition("#")[2] or ("matrix.to" in plain and "@" in plain)
