"""Translations of the bot's sentences to the reader's language.

The code has the sentences in English, as gettext expects, with ``{named}`` placeholders.
"""

from datetime import datetime, timedelta
from math import ceil
from typing import Protocol

_MINUTE, _HOUR, _DAY = 60, 3600, 86400  # in seconds
_KILO, _MEGA = 1000, 1_000_000  # in bytes


class Catalogue(Protocol):
    """Translates English sentences to one language: the interface of the standard ``gettext``."""

    def gettext(self, message: str) -> str:
        """The sentence in this language."""

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """Return the form for the number ``n`` in this language.

        ``msgid1`` and ``msgid2`` are the English singular and plural.
        """


class English:
    """The sentences as written in the code."""

    def gettext(self, message: str) -> str:
        """The sentence itself."""
        return message

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """The first form for one, the second for any other number."""
        return msgid1 if n == 1 else msgid2


class Translator:
    """Translates sentences to one language.

    Args:
        code: The code of the language, ``en`` or ``ru``.
        catalogue: The sentences of the language; None for English.
    """

    def __init__(self, code: str = "en", catalogue: Catalogue | None = None) -> None:
        self.code = code
        self.catalogue = catalogue or English()

    def gettext(self, message: str, **values: object) -> str:
        """Return ``message`` in this language; ``values`` fill its ``{named}`` placeholders."""
        # gettext keeps the catalogue's own header under the empty sentence
        return self.catalogue.gettext(message).format(**values) if message else ""

    def ngettext(self, singular: str, plural: str, count: int, **values: object) -> str:
        """Return the singular or plural sentence for ``count``, in this language.

        ``count`` fills the placeholder ``{count}``, and ``values`` fill the others.
        """
        return self.catalogue.ngettext(singular, plural, count).format(count=count, **values)

    def duration(self, length: timedelta) -> str:
        """Return a duration as text in this language, such as ``5 minutes``.

        It is rounded up to whole seconds, and given in the largest unit that needs no fraction.
        """
        seconds = ceil(length.total_seconds())
        if not seconds or seconds % _MINUTE:
            # Translators: durations stand after such words as "within" and "after"
            return self.ngettext("{count} second", "{count} seconds", seconds)
        if seconds % _HOUR:
            return self.ngettext("{count} minute", "{count} minutes", seconds // _MINUTE)
        if seconds % _DAY:
            return self.ngettext("{count} hour", "{count} hours", seconds // _HOUR)
        return self.ngettext("{count} day", "{count} days", seconds // _DAY)

    def size(self, size_bytes: int) -> str:
        """A file size as text: ``12 kB``, ``1.2 MB``, or ``unknown size`` for 0."""
        if size_bytes <= 0:
            return self.gettext("unknown size")
        kilobytes = -(-size_bytes // _KILO)
        if kilobytes < _KILO:
            return self.gettext("{amount} kB", amount=kilobytes)
        return self.gettext("{amount} MB", amount=f"{size_bytes / _MEGA:.1f}".removesuffix(".0"))

    def moment(self, at: datetime) -> str:
        """A UTC time as text in this language: ``2026-01-02 03:04:05 UTC``."""
        return self.gettext(
            "{year}-{month}-{day} {time} UTC",
            year=f"{at:%Y}",
            month=f"{at:%m}",
            day=f"{at:%d}",
            time=f"{at:%H:%M:%S}",
        )


def sentence(message: str) -> str:
    """Return ``message`` unchanged. The call marks it as a sentence for the catalogue.

    ``Translator.gettext`` translates the sentence later.
    """
    return message
