"""The languages that the bot speaks: their names, and their sentences from ``locale/``.

English stands in the code and needs no catalogue. ``make locale`` collects its sentences and
compiles what ``locale/*/LC_MESSAGES/strandline.po`` has for them.
"""

from collections.abc import Mapping
from functools import cache
from gettext import GNUTranslations
from pathlib import Path

from fsm import Translator

LOCALE = Path(__file__).parent.parent / "locale"

ENGLISH = "en"
"""The language of the sentences in the code."""

LANGUAGES: Mapping[str, tuple[str, ...]] = {
    "en": ("English", "английский"),
    "ru": ("русский", "Russian"),
}
"""The code of each language that the bot speaks, with its names, the first in itself."""


def translator_for(code: str | None, *, default: str = ENGLISH) -> Translator:
    """What says sentences in the language ``code``; in the default one if the bot can't."""
    return _loaded(code if code in LANGUAGES else default)


@cache
def _loaded(code: str) -> Translator:
    if code == ENGLISH:
        return Translator(code)
    with catalogue_path(code).open("rb") as file:
        return Translator(code, GNUTranslations(file))


def catalogue_path(code: str) -> Path:
    """The compiled sentences of a language."""
    return LOCALE / code / "LC_MESSAGES" / "strandline.mo"
