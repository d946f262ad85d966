"""The languages of the bot: their names, and their translations from ``locale/``.

The English sentences are in the code and need no catalogue. ``make locale`` collects them and
compiles the translations in ``locale/*/LC_MESSAGES/strandline.po``.
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
"""The names of each language that the bot speaks, by its code.

The first name is the one in the language itself.
"""


def translator_for(code: str | None, *, default: str = ENGLISH) -> Translator:
    """Return the translator for a language.

    Args:
        code: The code of the language, or None.
        default: The code of the language to use if ``code`` is None or not in ``LANGUAGES``.
    """
    return _loaded(code if code in LANGUAGES else default)


@cache
def _loaded(code: str) -> Translator:
    if code == ENGLISH:
        return Translator(code)
    with catalogue_path(code).open("rb") as file:
        return Translator(code, GNUTranslations(file))


def catalogue_path(code: str) -> Path:
    """The path of a language's compiled catalogue."""
    return LOCALE / code / "LC_MESSAGES" / "strandline.mo"
