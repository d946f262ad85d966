"""Text on its way out: Markdown to safe HTML, the content of messages. Pure."""

import html
import re
from typing import Any
from urllib.parse import quote, unquote

import nh3
from attrs import asdict
from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, fence, table

from fsm.values.ids import EventId, PlatformChatId, TransactionId, UserId
from fsm.values.messages import AnswerRef, QuestionRef
from matrix.api import fields
from matrix.outbound.split import NOBODY, harmless, weight

TURN_KEY = "org.strandline.turn"
"""The key of an event's content that carries its transaction id."""

BY_KEY = "org.strandline.by"
"""The key of an event's content that names the bot which sent it: who forwards such an event, with
all that it holds, is not that bot."""

QUESTION_KEY = "org.strandline.question"
"""The key of an event's content that says which question it is."""

ANSWER_KEY = "org.strandline.answer"
"""The key of an event's content that says to which question it is an agent's answer."""

HTML_LIMIT = 24_000
"""The most bytes of a message's HTML. It is left out if it would be longer; the text stays."""

MOST_CELLS = HTML_LIMIT // len("<td></td>\n")
"""The most cells of a message's tables."""

MOST_BRACKETS = 3_000
"""A text with more of ``[`` has no HTML: the time to look for its links grows with their square."""

MOST_LINES = 30_000
"""A text of which more lines are looked at has no HTML: a quote that goes on without its ``>`` is
looked for to its end again at each of its lines."""

EDIT_FALLBACK_CHARS = 200
"""So much of an edit's text goes into the fallback for clients that don't know edits."""

Json = dict[str, Any]

# No images: they could be fetched from anywhere. No raw HTML: it is shown as text.
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": True})
_MARKDOWN.enable(["table", "strikethrough"]).disable("image")


class _TooMuch(Exception):
    """The text takes too long to be shown."""


def _counted_fence(state: StateBlock, start: int, end: int, silent: bool) -> bool:  # noqa: FBT001
    """A code block. Whatever looks for its end asks each line whether one begins there."""
    left = state.env.get("lines", MOST_LINES)
    if left == 0:
        raise _TooMuch
    state.env["lines"] = left - 1
    return fence(state, start, end, silent)


def _small_table(state: StateBlock, start: int, end: int, silent: bool) -> bool:  # noqa: FBT001
    """A table, as far as its cells could be shown: a few characters can make 65,000 of them."""
    columns = state.src[state.bMarks[start] : state.eMarks[start]].count("|") + 1
    left = state.env.get("cells", MOST_CELLS)
    if columns > left or not table(state, start, min(end, start + 2 + left // columns), silent):
        return False
    if not silent:
        state.env["cells"] = left - columns * (state.line - start)
    return True


_MARKDOWN.block.ruler.at("table", _small_table, {"alt": ["paragraph", "reference"]})
_MARKDOWN.block.ruler.at(
    "fence", _counted_fence, {"alt": ["paragraph", "reference", "blockquote", "list"]}
)
_MARKDOWN.render("a")  # the first text compiles the rules, which threads must not do at once

# What Matrix clients are told to understand (client-server API, "m.room.message msgtypes"), without
# images and colours.
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


def message_content(  # noqa: PLR0913  # what a message may carry
    text: str,
    *,
    transaction_id: TransactionId,
    in_reply_to: EventId | None = None,
    thread: EventId | None = None,
    mention: UserId | None = None,
    mark: QuestionRef | None = None,
    answer: AnswerRef | None = None,
    notice: bool = False,
) -> Json:
    """The content of an ``m.room.message`` that says ``text``.

    Args:
        text: Markdown, not longer than what ``split`` gives.
        transaction_id: Under which it is sent.
        in_reply_to: The event that it answers.
        thread: The root of the thread in which it is said.
        mention: Who is to be told of it.
        mark: What it says of itself, if it is a question.
        answer: The same, if it is an agent's answer.
        notice: Other bots are not to answer it.
    """
    content = _text_content(text, "m.notice" if notice else "m.text")
    if mention is not None:
        content["m.mentions"] = {"user_ids": [mention]}
    relation: Json = {}
    if thread is not None:
        relation = {"rel_type": "m.thread", "event_id": thread, "is_falling_back": False}
    if in_reply_to is not None:
        relation["m.in_reply_to"] = {"event_id": in_reply_to}
    if relation:
        content["m.relates_to"] = relation
    if mark is not None:
        content[QUESTION_KEY] = asdict(mark)
    if answer is not None:
        content[ANSWER_KEY] = _answer(answer)
    return content | {TURN_KEY: transaction_id}


def reaction_content(key: str, *, about: EventId, transaction_id: TransactionId) -> Json:
    """The content of an ``m.reaction`` that puts ``key`` on the event ``about``."""
    relation = {"rel_type": "m.annotation", "event_id": about, "key": key}
    return {"m.relates_to": relation, TURN_KEY: transaction_id}


def read_mark(content: Json) -> QuestionRef | None:
    """What a message of the bot's says of itself, if it is a question."""
    found = fields.fields(content, QUESTION_KEY)
    flow, question, life = (fields.text(found, name) for name in ("flow", "id", "life"))
    asker = fields.user_id(found, "asker")
    if flow is None or question is None or life is None:
        return None
    if asker is None and found.get("asker") is not None:
        return None
    return QuestionRef(flow=flow, id=EventId(question), life=life, asker=asker)


def read_answer(content: Json) -> AnswerRef | None:
    """What a message of the bot's says of itself, if it is an agent's answer."""
    found = fields.fields(content, ANSWER_KEY)
    chat, question = fields.text(found, "chat"), fields.event_id(found, "question")
    also = found.get("also", [])
    if chat is None or question is None or not isinstance(also, list):
        return None
    ids = (fields.event_id({"id": each}, "id") for each in also)
    return AnswerRef(
        chat=PlatformChatId(chat),
        question=question,
        also=tuple(each for each in ids if each is not None),
        is_empty=found.get("empty") is True,
    )


def edit_content(
    text: str,
    *,
    edits: EventId,
    transaction_id: TransactionId,
    answer: AnswerRef | None = None,
    notice: bool = False,
) -> Json:
    """The content of an ``m.room.message`` that replaces the text of ``edits``."""
    msgtype = "m.notice" if notice else "m.text"
    new = _text_content(text, msgtype)
    if answer is not None:
        new[ANSWER_KEY] = _answer(answer)
    return {
        "msgtype": msgtype,
        "body": "* " + harmless(text[:EDIT_FALLBACK_CHARS]),
        "m.mentions": {},
        "m.new_content": new,
        "m.relates_to": {"rel_type": "m.replace", "event_id": edits},
        TURN_KEY: transaction_id,
    }


def to_html(text: str) -> str:
    """Markdown as HTML that can be shown to anybody: no scripts, no images, no odd links.

    Links to people are no links: clients draw those as mentions.
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


def _answer(mark: AnswerRef) -> Json:
    found: Json = {"chat": mark.chat, "question": mark.question}
    found |= {"also": list(mark.also)} if mark.also else {}
    found |= {"empty": True} if mark.is_empty else {}
    return found


def _text_content(text: str, msgtype: str) -> Json:
    body = harmless(text)
    # An empty m.mentions says that nobody is pinged, whatever names or "@room" the text holds.
    content: Json = {"msgtype": msgtype, "body": body, "m.mentions": {}}
    rendered = _rendered(body)
    if rendered is not None:
        content |= {"format": "org.matrix.custom.html", "formatted_body": rendered}
    return content


def _rendered(body: str) -> str | None:
    """Its HTML, where that says more than the body and is not too long."""
    if body.count("[") > MOST_BRACKETS:
        return None
    try:
        rendered = to_html(body)
    except _TooMuch:
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
    """Whether it leads to a person.

    That is so at matrix.to (Matrix specification, "matrix.to navigation"), and wherever there is a
    client for the web: all of them name people behind the #.
    """
    plain = unquote(unquote(url)).casefold()
    return "@" in plain.partition("#")[2] or ("matrix.to" in plain and "@" in plain)
