"""What the bot says, in the language of whoever it says it to.

Sentences stand in the code in English, as gettext has it, with ``{named}`` gaps.
"""

from datetime import datetime, timedelta
from math import ceil
from typing import Protocol

_MINUTE, _HOUR, _DAY = 60, 3600, 86400  # in seconds
_KILO, _MEGA = 1000, 1_000_000  # in bytes


class Catalogue(Protocol):
    """Sentences of one language, as the standard library's ``gettext`` has them."""

    def gettext(self, message: str) -> str:
        """The sentence in this language."""

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """The sentence in the form that ``n`` asks for."""


class English:
    """The sentences as they stand in the code."""

    def gettext(self, message: str) -> str:
        """The sentence itself."""
        return message

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """The first form for one, the second for any other number."""
        return msgid1 if n == 1 else msgid2


class Translator:
    """Says sentences in one language.

    Args:
        code: The language, ``en`` or ``ru``.
        catalogue: Its sentences.
    """

    def __init__(self, code: str = "en", catalogue: Catalogue | None = None) -> None:
        self.code = code
        self.catalogue = catalogue or English()

    def gettext(self, message: str, **values: object) -> str:
        """The sentence in this language, its gaps filled."""
        # gettext keeps the catalogue's own header under the empty sentence
        return self.catalogue.gettext(message).format(**values) if message else ""

    def ngettext(self, singular: str, plural: str, count: int, **values: object) -> str:
        """The same for a sentence that depends on a number, which fills its gap ``{count}``."""
        return self.catalogue.ngettext(singular, plural, count).format(count=count, **values)

    def duration(self, length: timedelta) -> str:
        """``5 minutes``: in the largest unit that says it exactly, seconds rounded up."""
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
        """``12 kB``, ``1.2 MB``; a file's sender need not say how large it is."""
        if size_bytes <= 0:
            return self.gettext("unknown size")
        kilobytes = -(-size_bytes // _KILO)
        if kilobytes < _KILO:
            return self.gettext("{amount} kB", amount=kilobytes)
        return self.gettext("{amount} MB", amount=f"{size_bytes / _MEGA:.1f}".removesuffix(".0"))

    def moment(self, at: datetime) -> str:
        """``2026-01-02 03:04:05 UTC``: an aware UTC time, as this language writes it."""
        return self.gettext(
            "{year}-{month}-{day} {time} UTC",
            year=f"{at:%Y}",
            month=f"{at:%m}",
            day=f"{at:%d}",
            time=f"{at:%H:%M:%S}",
        )


def sentence(message: str) -> str:
    """Mark a sentence for the catalogue that is said later, through ``Translator.gettext``."""
    return message
