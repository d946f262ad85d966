"""Splits long texts into pieces that fit into one event each. Pure."""

import json
import re

from attrs import evolve, frozen

BODY_LIMIT = 18_000
"""Maximum bytes of a message's text, as JSON in UTF-8.

An event may have 65,536 bytes. Encryption encodes each 3 bytes as 4, and the HTML may take
``HTML_LIMIT``: (18,000 + 24,000 + 1,600 for the rest) * 4/3 = 58,200. That leaves 7,300 for what
homeservers add."""

MAX_OPENING_CHARS = 60
"""Maximum characters of a code block's opening line when it is repeated; a longer one is cut."""

NEW_LINE = "\n"

MAX_FENCE_CHARS = 20
"""Maximum characters of a code block's fence and indentation; a code block with more is split like
other text."""

# Overrides and isolates of the writing direction can make a text look like another one. New lines
# and tabs are kept.
_CONTROL_CHARACTERS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)

# Servers and clients that don't know "m.mentions" look for "@room" in the body, as a word.
_AT_ROOM = re.compile("@(?=room(?![A-Za-z0-9_]))", re.IGNORECASE)
NOBODY = "@\u2060"
"""The replacement for the ``@`` of ``@room``, so that the text notifies nobody: ``@`` with a word
joiner, which is invisible."""

# A possessive quantifier does not backtrack: a line of 18,000 ">" takes linear time.
_FENCE = re.compile(
    r"^((?:[ >]|(?:[-*+]|\d{1,9}[.)]) )*+)(`{3,}(?=[^`\n]*$)|~{3,})[^\n]*$", re.MULTILINE
)
_ITEM = re.compile(r"^[ >]*+(?:[-*+]|\d{1,9}[.)]) ", re.MULTILINE)

_BREAKS = [re.compile(each) for each in (r"\n\n(?=\S)", r"\n(?=\S)", r"\n\n", r"\n", r" ")]
"""Where to split a text, best first. A new line before a line without indentation is preferred,
because such a line is not inside a list."""


@frozen
class _Block:
    """A fenced code block in a text.

    Args:
        start: The index at which its opening line begins.
        end: The index after its closing line; None if the block is not closed in the text.
        inside: What each of its lines begins with, if it is inside quotes or lists: ``>`` and
            spaces.
        fence: The backticks or tildes with which its closing line must begin.
        opening: Its opening line, from the fence on.
    """

    start: int
    end: int | None
    inside: str
    fence: str
    opening: str


def split_text(text: str, limit: int = BODY_LIMIT) -> list[str]:
    """Split the text into pieces that fit into one event each.

    No piece is blank, unless the text is. A piece ends at a paragraph, a line, a word or, if there
    is none of these in its second half, between any two characters. A fenced code block that begins
    in a piece's last three quarters is moved to the next piece. A block that must be cut is closed,
    and opened again in the next piece. List content at the beginning of a piece loses its
    indentation, because it would otherwise be shown as code. The end of the first piece does not
    depend on the text after it, so that piece stays the same while the text grows.

    Args:
        text: The text, Markdown.
        limit: The maximum size of a piece in bytes, as ``weight`` counts them.

    Returns:
        The pieces in order. A blank text is one empty piece.
    """
    rest = harmless(text)
    pieces: list[str] = []
    while len(rest) > limit or weight(rest) > limit:
        most = _longest(rest, limit)
        blocks = _blocks(rest[:most])
        block = blocks.pop() if blocks and blocks[-1].end is None else None
        if block is not None and block.start <= most // 4 and limit > 4 * MAX_OPENING_CHARS:
            piece, rest = _within(block, rest, limit)
        else:
            cut = block.start if block and block.start > most // 4 else _cut(rest, most, blocks)
            piece = rest[:cut].rstrip()
            rest = _at_the_margin(rest[cut:].lstrip(NEW_LINE), piece)
        pieces.append(piece)
    return [piece for piece in (*pieces, rest) if piece.strip()] or [""]


def harmless(text: str) -> str:
    """The text without control characters, direction overrides and lone surrogates.

    ``@room`` gets an invisible word joiner after its @, so that it notifies nobody.
    """
    plain = _CONTROL_CHARACTERS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _AT_ROOM.sub(NOBODY, plain)


def weight(text: str) -> int:
    """The size in bytes of the text as JSON in UTF-8, without quotation marks."""
    return len(json.dumps(text, ensure_ascii=False).encode()) - 2


def _cut(text: str, most: int, blocks: list[_Block]) -> int:
    """Return the index at which to end a piece of at most ``most`` characters.

    Args:
        text: The text.
        most: The maximum number of characters of the piece.
        blocks: The closed code blocks in these characters. If possible, the piece does not end
            inside of one.
    """
    ends = [0, *((block.end or most) - 1 for block in blocks)]  # at the last new line of each
    starts = [*(block.start for block in blocks), most]
    between = [(max(e, most // 2), s) for e, s in zip(ends, starts, strict=True) if s > most // 2]
    for each in _BREAKS:
        for begin, end in reversed(between):
            # one more character, to see what follows the break
            found = [m.end() for m in each.finditer(text, begin, end + 1) if m.end() <= end]
            if found:
                return found[-1]
    return most


def _within(block: _Block, text: str, limit: int) -> tuple[str, str]:
    """Cut the text inside a code block, and return the piece and the rest.

    The block is closed at the end of the piece, and opened again at the beginning of the rest.
    """
    closing = f"{NEW_LINE}{block.inside}{block.fence}"
    most = _longest(text, limit - weight(closing))
    cut = text.rfind(NEW_LINE, most // 2, most) + 1
    # In the middle of a line: what follows begins one, and is not to look like the block's end.
    cut = cut or max(len(text[:most].rstrip(f" >{block.fence[0]}")) - 1, most // 2)
    is_line, rest = text[cut - 1] == NEW_LINE, text[cut:]
    piece = text[:cut].removesuffix(NEW_LINE) + closing
    first, _, others = rest.partition(NEW_LINE)
    bare = first.strip(" >")
    if is_line and bare.startswith(block.fence) and not bare.strip(block.fence[0]):
        return piece, _at_the_margin(others.lstrip(NEW_LINE), piece)
    opening = block.opening[:MAX_OPENING_CHARS]
    if ">" not in block.inside:
        return piece, f"{opening}\n{_moved(rest, len(block.inside))}"
    quoted = "" if is_line else block.inside
    return piece, f"{block.inside}{opening}\n{quoted}{rest}"


def _at_the_margin(rest: str, before: str) -> str:
    """Return ``rest``, with its first lines unindented if the text before contains a list.

    Args:
        rest: The text after the piece.
        before: The piece. Its list ends with it, so the indentation would be shown as code.
    """
    width = len(rest) - len(rest.lstrip(" "))
    return _moved(rest, width) if width and _ITEM.search(before) else rest


def _moved(text: str, width: int) -> str:
    """Return the text with its first lines moved ``width`` columns to the left.

    The first line with less indentation, and all lines after it, stay as they are.
    """
    lines = text.split(NEW_LINE)
    for number, line in enumerate(lines):
        if line.strip() and not line.startswith(" " * width):
            break
        lines[number] = line[width:]
    return NEW_LINE.join(lines)


def _blocks(text: str) -> list[_Block]:
    """Return the fenced code blocks of the text (CommonMark, "Fenced code blocks").

    The last one may be without a closing line.
    """
    blocks: list[_Block] = []
    complete = text[: text.rfind(NEW_LINE) + 1]
    for line in _FENCE.finditer(complete):
        before, fence = line[1], line[2]
        last = blocks[-1] if blocks else None
        if last is None or last.end is not None:
            inside = re.sub("[^ >]", " ", before)
            blocks.append(_Block(line.start(), None, inside, fence, line[0][len(before) :].strip()))
        elif fence.startswith(last.fence) and line[0].strip(" >") == fence:
            blocks[-1] = evolve(last, end=line.end() + 1)
    return [block for block in blocks if len(block.fence) + len(block.inside) <= MAX_FENCE_CHARS]


def _longest(text: str, limit: int) -> int:
    """Return how many characters from the beginning of the text fit into ``limit`` bytes.

    The result is at least 1. ``weight`` counts the bytes.
    """
    low, high = 1, min(len(text), limit)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if weight(text[:middle]) <= limit else (low, middle - 1)
    return low
