"""Long texts in pieces that fit an event each: at paragraphs, code blocks kept whole. Pure."""

import json
import re

from attrs import frozen

BODY_LIMIT = 18_000
"""The most bytes, as JSON in UTF-8, of a message's text.

An event may have 65,536 bytes. Encryption makes 4 bytes of 3, and the HTML may take
``HTML_LIMIT``: (18,000 + 24,000 + 1,600 for the rest) * 4/3 = 58,200, which leaves 7,300 for what
homeservers add.
"""

LONGEST_OPENING = 60
"""An opening line of a code block with more characters is cut when it is repeated."""

NEW_LINE = "\n"

LONGEST_FENCE = 20
"""A code block between longer ones is cut as any text is."""

# Overrides and isolates of the writing direction can make a text look like another one; control
# characters have no look at all. New lines and tabs stay.
_TRICKS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_FENCE = re.compile(r"^ {0,3}(`{3,}(?=[^`\n]*$)|~{3,})[^\n]*$", re.MULTILINE)


@frozen
class _Block:
    """A fenced code block that is not closed.

    Args:
        start: Where its opening line begins.
        fence: What its closing line is to begin with.
        opening: Its opening line.
    """

    start: int
    fence: str
    opening: str


def split(text: str, limit: int = BODY_LIMIT) -> list[str]:
    """The text in pieces that fit an event each: one at least, none blank unless the text is.

    Pieces end at a paragraph, a line, a word or, if there is no such place in their second half,
    anywhere between two characters. A fenced code block that begins in a piece's last three
    quarters begins the next piece instead; one that must be cut is closed, and opened again. Where
    the first piece ends depends on nothing beyond it, so a text that grows keeps it.
    """
    rest = harmless(text)
    pieces: list[str] = []
    while len(rest) > limit or weight(rest) > limit:
        most = _longest(rest, limit)
        block = _open_block(rest[:most])
        if block is not None and block.start > most // 4:
            cut, block = block.start, None
        elif block is not None and limit > 4 * LONGEST_OPENING:
            most = _longest(rest, limit - weight(f"\n{block.fence}"))
            cut = _cut(rest, most, ("\n",))
        else:
            cut, block = _cut(rest, most, ("\n\n", "\n", " ")), None
        if block is None:
            piece, rest = rest[:cut].rstrip(), rest[cut:].lstrip("\n")
        else:
            is_line = rest[cut - 1] == "\n"
            piece = f"{rest[:cut].removesuffix(NEW_LINE)}\n{block.fence}"
            rest = _reopened(block, rest[cut:], is_line=is_line)
        pieces.append(piece)
    return [piece for piece in (*pieces, rest) if piece.strip()] or [""]


def harmless(text: str) -> str:
    """The text without control characters, tricks with its direction, and halves of characters."""
    return _TRICKS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def weight(text: str) -> int:
    """Bytes of the text as JSON in UTF-8, without its quotation marks."""
    return len(json.dumps(text, ensure_ascii=False).encode()) - 2


def _reopened(block: _Block, rest: str, *, is_line: bool) -> str:
    """What follows a piece that has closed the block: the block's rest, if there is any.

    Args:
        block: The block.
        rest: What follows the piece.
        is_line: It begins with a line of its own, not in the middle of one.
    """
    first, _, others = rest.partition("\n")
    if is_line and first.strip().startswith(block.fence) and not first.strip(f" {block.fence[0]}"):
        return others.lstrip("\n")
    return f"{block.opening[:LONGEST_OPENING]}\n{rest}"


def _cut(text: str, most: int, separators: tuple[str, ...]) -> int:
    """Where a piece of at most so many characters ends."""
    for separator in separators:
        found = text.rfind(separator, most // 2, most)
        if found > 0:
            return found + len(separator)
    return most


def _open_block(text: str) -> _Block | None:
    """The code block that is open at the end of the text (CommonMark, "Fenced code blocks")."""
    block: _Block | None = None
    complete = text[: text.rfind("\n") + 1]
    for line in _FENCE.finditer(complete):
        fence = line[1]
        if block is None:
            block = _Block(line.start(), fence, line[0].strip())
        elif fence.startswith(block.fence) and line[0].strip() == fence:
            block = None
    return block if block is None or len(block.fence) <= LONGEST_FENCE else None


def _longest(text: str, limit: int) -> int:
    """How many characters, at least one, have no more weight than the limit."""
    low, high = 1, min(len(text), limit)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if weight(text[:middle]) <= limit else (low, middle - 1)
    return low
