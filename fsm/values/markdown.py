"""What people typed, as it goes into a sentence of the bot's, which is Markdown."""

import re
import unicodedata

_CONTROLS = ("Cc", "Cf", "Cs")
_JOINER = "\u200d"
"""It stands between the parts of an emoji."""

_MARKUP = re.compile(r"([\\`*\[\]<>~|!#&]|(?<![^\W_])_|_(?![^\W_]))")
"""An underscore within a word is one (CommonMark 0.31, 6.2)."""


def as_typed(text: str | None) -> str:
    """The text so that Markdown shows it as it was typed, on one line.

    A name such as ``[free](https://example.org)`` would else be a link in the bot's own message
    (CommonMark 0.31, 2.4, "Backslash escapes").
    """
    shown = "".join(c for c in " ".join((text or "").split()) if not _is_control(c))
    return _MARKUP.sub(r"\\\1", shown)


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in _CONTROLS and char != _JOINER
