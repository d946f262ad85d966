"""Text as people write it: normalizing names, escaping Markdown, removing control characters."""

import re
import unicodedata
from functools import lru_cache

_SKIN_TONES = range(0x1F3FB, 0x1F400)
_VARIATION_SELECTORS = range(0xFE00, 0xFE10)
_JOINER = "\u200d"
"""The zero-width joiner, which joins the parts of an emoji."""

MOST_COMPARED = 1_000
"""The number of characters of a text that are compared; the rest is ignored."""

MOST_DIGITS = 6
"""The maximum number of digits of a number with which a person chooses from a list."""


def compared(text: str) -> str:
    """Normalize a text for comparison.

    The result is in the form NFKC, which makes full-width letters plain ones, and case-folded
    (Unicode Standard Annex 15; chapter 3.13, default case folding). Invisible characters, variation
    selectors and skin tones are removed, and blanks at both ends. Only the first ``MOST_COMPARED``
    characters of the text are used.
    """
    return _compared(text[:MOST_COMPARED])


@lru_cache(maxsize=4_096)
def _compared(text: str) -> str:
    seen = "".join(c for c in text if not _is_unseen(c))
    return unicodedata.normalize("NFKC", seen).casefold().strip().strip(_JOINER)


def answered(text: str) -> str:
    """Normalize a text as by ``compared``, and remove punctuation at both ends: "Yes." → "yes".

    A text of nothing but punctuation keeps it.
    """
    form = compared(text)
    return _without_punctuation(form) or form


def number_in(text: str) -> int | None:
    """Return the number that a text such as "1." consists of.

    Returns:
        None if the text is not a number of at most ``MOST_DIGITS`` digits without a sign.
    """
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
    """Return the text escaped so that Markdown shows it as it was typed, on one line.

    Without the escapes, a name such as ``[free](https://example.org)`` would be a link in the bot's
    own message (CommonMark 0.31, 2.4, "Backslash escapes"). Control characters are removed. None
    gives an empty text.
    """
    shown = "".join(c for c in " ".join((text or "").split()) if not _is_control(c))
    return _MARKUP.sub(r"\\\1", shown)


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in _CONTROLS and char != _JOINER


_UNPRINTABLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
_JOINERS = "\u200c\u200d"
"""Invisible characters that are kept: words of some scripts and emoji need them."""


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return the text with unprintable characters as escapes such as ``\x1b``, for a terminal.

    Unprintable are control characters (C0, DEL, C1), which a terminal carries out: they move the
    cursor, set the title or send input. So are line separators and marks of the writing direction,
    which can make a text look like another one, and lone surrogates, which can't be encoded
    (ECMA-48; Unicode Standard Annex 9).

    Args:
        text: Any text.
        lines: Whether new lines and tabs stay as they are. If False, they are escaped too.
    """
    if text.isprintable():
        return text
    kept = f"{_JOINERS}\n\t" if lines else _JOINERS
    return "".join(c if c in kept or not _is_unprintable(c) else _escaped(c) for c in text)


def _is_unprintable(char: str) -> bool:
    return unicodedata.category(char) in _UNPRINTABLE


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()
