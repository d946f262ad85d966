"""What people typed, as it goes into a sentence of the bot's, which is Markdown."""

import re

_MARKUP = re.compile(r"([\\`*_\[\]<>~|!#])")


def as_typed(text: str | None) -> str:
    """The text so that Markdown shows it as it was typed, on one line.

    A name such as ``[free](https://example.org)`` would else be a link in the bot's own message
    (CommonMark 0.31, 2.4, "Backslash escapes").
    """
    return _MARKUP.sub(r"\\\1", " ".join((text or "").split()))
