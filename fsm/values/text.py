"""Text as people write it: normalizing names, escaping Markdown, removing control characters."""

import re
import unicodedata
from functools import lru_cache

_SKIN_TONES = range(0x1F3FB, 0x1F400)
_VARIATION_SELECTORS = range(0xFE00, 0xFE10)
_JOINER = "\u200d"
"""Joins the parts of an emoji."""

MOST_COMPARED = 1_000
"""The maximum number of characters of a command, answer or name."""

MOST_DIGITS = 6
"""The maximum number of digits of a number in a list."""


def compared(text: str) -> str:
    """Normalize a text for comparison.

    The result is canonically composed and case-folded, with full-width letters as plain ones, and
    without invisible characters, variation selectors, skin tones, and blanks at its ends (Unicode
    Standard Annex 15, NFKC; chapter 3.13, default case folding).
    """
    return _compared(text[:MOST_COMPARED])


@lru_cache(maxsize=4_096)
def _compared(text: str) -> str:
    seen = "".join(c for c in text if not _is_unseen(c))
    return unicodedata.normalize("NFKC", seen).casefold().strip().strip(_JOINER)


def answered(text: str) -> str:
    """Normalize a text and remove punctuation around it: "Yes." becomes "yes"."""
    form = compared(text)
    return _without_punctuation(form) or form


def number_in(text: str) -> int | None:
    """The whole number in a text such as "1."; None if it is none, or too large for a list."""
    seen = "".join(c for c in text[:MOST_COMPARED] if not _is_unseen(c))
    digits = _without_punctuation(seen)
    is_number = digits.isdecimal() and len(digits) <= MOST_DIGITS and not _has_dash(seen)
    return int(digits) if is_number else None


def without_unseen_start(text: str) -> str:
    """The text from its first visible character on."""
    begin = next((i for i, c in enumerate(text) if not (c.isspace() or _is_unseen(c))), len(text))
    return text[begin:]


def _is_unseen(char: str) -> bool:
    code = ord(char)
    if code in _SKIN_TONES or code in _VARIATION_SELECTORS:
        return True
    return char != _JOINER and unicodedata.category(char) == "Cf"


def _without_punctuation(text: str) -> str:
    """The text without punctuation and blanks at its ends."""
    begin, end = 0, len(text)
    while begin < end and _is_punctuation(text[begin]):
        begin += 1
    while end > begin and _is_punctuation(text[end - 1]):
        end -= 1
    return text[begin:end]


def _has_dash(text: str) -> bool:
    return any(unicodedata.category(char) == "Pd" for char in text)


def _is_punctuation(char: str) -> bool:
    return char.isspace() or unicodedata.category(char).startswith("P")


_CONTROLS = ("Cc", "Cf", "Cs")
_MARKUP = re.compile(r"([\\`*\[\]<>~|!#&]|(?<![^\W_])_|_(?![^\W_]))")
"""An underscore within a word has no meaning in Markdown (CommonMark 0.31, 6.2)."""


def as_typed(text: str | None) -> str:
    """Escape a text so that Markdown shows it unchanged, on one line.

    Otherwise a name such as ``[free](https://example.org)`` would be a link in the bot's own
    message (CommonMark 0.31, 2.4, "Backslash escapes").
    """
    shown = "".join(c for c in " ".join((text or "").split()) if not _is_control(c))
    return _MARKUP.sub(r"\\\1", shown)


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in _CONTROLS and char != _JOINER


_UNPRINTABLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
_JOINERS = "\u200c\u200d"
"""Joiners in words of some scripts and in emoji."""


def printable(text: str, *, lines: bool = False) -> str:
    r"""The text with every character that a terminal would obey, or nobody sees, as ``\x1b``.

    These are control characters (C0, DEL, C1), which move the cursor, set the title or answer in
    the reader's name; marks of the writing direction, which have a text look like another; and
    halves of characters, which can't be written at all (ECMA-48; Unicode Standard Annex 9).

    Args:
        text: Anything.
        lines: New lines and tabs stay as they are.
    """
    if text.isprintable():
        return text
    kept = f"{_JOINERS}\n\t" if lines else _JOINERS
    return "".join(c if c in kept or not _is_unprintable(c) else _escaped(c) for c in text)


def _is_unprintable(char: str) -> bool:
    return unicodedata.category(char) in _UNPRINTABLE


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()
