"""What others wrote, as it goes to a terminal."""

import unicodedata

_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_JOINERS = "\u200c\u200d"
"""They belong to words of some scripts, and to emoji."""


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
    return "".join(c if c in kept or not _is_unseen(c) else _escaped(c) for c in text)


def _is_unseen(char: str) -> bool:
    return unicodedata.category(char) in _UNSEEN


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()
