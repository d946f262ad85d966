"""The one form in which what people type is compared: commands, answers, names, emoji, numbers."""

import unicodedata
from functools import lru_cache

_SKIN_TONES = range(0x1F3FB, 0x1F400)
_VARIATION_SELECTORS = range(0xFE00, 0xFE10)
_JOINER = "\u200d"
"""Belongs to an emoji, where it stands between two of its parts."""

MOST_COMPARED = 1_000
"""No command, answer or name has more characters."""

MOST_DIGITS = 6
"""A number with more of them is none of a list that was offered."""


def compared(text: str) -> str:
    """The text in normal form.

    Canonically composed, full-width letters as plain ones, in one case, without characters that
    can't be seen, variation selectors and skin tones, and without blanks at its ends (Unicode
    Standard Annex 15, NFKC; chapter 3.13, default case folding).
    """
    return _compared(text[:MOST_COMPARED])


@lru_cache(maxsize=4_096)
def _compared(text: str) -> str:
    seen = "".join(c for c in text if not _is_unseen(c))
    return unicodedata.normalize("NFKC", seen).casefold().strip().strip(_JOINER)


def answered(text: str) -> str:
    """The text in normal form without punctuation around it: "Yes." is "yes"."""
    form = compared(text)
    return _without_punctuation(form) or form


def number_in(text: str) -> int | None:
    """The whole number that the text is, as in "1."; None if no list that is offered has it."""
    seen = "".join(c for c in text[:MOST_COMPARED] if not _is_unseen(c))
    digits = _without_punctuation(seen)
    is_number = digits.isdecimal() and len(digits) <= MOST_DIGITS and not _has_dash(seen)
    return int(digits) if is_number else None


def without_unseen_start(text: str) -> str:
    """The text from its first character on that can be seen."""
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
