"""The catalogue of sentences: collected from the code, brought up to date, compiled.

``make locale`` runs this; ``test_languages.py`` tells whether it was run.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from strandline.flows.languages import ENGLISH, LANGUAGES, LOCALE, catalogue_path

ROOT = Path(__file__).parent.parent.parent
FOLDERS = ("fsm", "durable", "ephemeral", "matrix", "strandline")
"""Where the bot's own code lies."""

KEYWORDS: dict[str, tuple[int, ...] | None] = {
    "gettext": (1,),
    "ngettext": (1, 2),
    "sentence": None,
}
"""The functions that take sentences, each with the positions of further plural forms as Babel
writes them: ``turn.gettext``, ``turn.ngettext``, and ``sentence`` for one that is said later."""

TEMPLATE = LOCALE / "strandline.pot"
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
"""The date in the headers: a true one would make two branches differ where nothing does."""

TRANSLATED = tuple(code for code in LANGUAGES if code != ENGLISH)


def collected() -> Catalog:
    """The sentences that stand in the code now."""
    catalog = Catalog(
        header_comment="# What the bot says.",
        project="strandline",
        version="1",
        msgid_bugs_address="",
        charset="utf-8",
        fuzzy=False,
        creation_date=SINCE,
    )
    for folder in FOLDERS:
        found = extract_from_dir(
            ROOT / folder,
            method_map=[("**.py", "python")],
            keywords=KEYWORDS,
            comment_tags=("Translators:",),
            strip_comment_tags=True,
        )
        for name, _line, ids, comments, _context in sorted(found, key=lambda f: f[:2]):
            place = [(f"{folder}/{Path(name).as_posix()}", 0)]
            catalog.add(ids, None, place, auto_comments=comments)
    return catalog


def translations(code: str) -> Catalog:
    """What the translators of a language have written."""
    path = catalogue_path(code).with_suffix(".po")
    with path.open("rb") as file:
        return read_po(file, locale=code)


def sentences(catalog: Catalog) -> Iterator[Message]:
    """Its entries without the header."""
    return (message for message in catalog if message.id)


def main() -> None:
    """Bring template, translations and compiled catalogues up to date; say what is missing."""
    template = collected()
    _write(TEMPLATE, template)
    missing = 0
    for code in TRANSLATED:
        catalog = translations(code)
        catalog.update(template, no_fuzzy_matching=True)
        catalog.creation_date = catalog.revision_date = SINCE
        catalog.project, catalog.version = template.project, template.version
        catalog.header_comment = template.header_comment
        catalog.msgid_bugs_address = catalog.last_translator = catalog.language_team = ""
        _write(catalogue_path(code).with_suffix(".po"), catalog)
        with catalogue_path(code).open("wb") as file:
            write_mo(file, catalog)
        for message in sentences(catalog):
            texts = message.string if isinstance(message.string, tuple) else (message.string,)
            if message.fuzzy or not all(texts):
                missing += 1
                print(f"{code}: to be translated: {message.id!r}")
    sys.exit(1 if missing else 0)


def _write(path: Path, catalog: Catalog) -> None:
    with path.open("wb") as file:
        write_po(
            file,
            catalog,
            width=100,
            sort_by_file=True,
            ignore_obsolete=True,
            include_lineno=False,
        )


if __name__ == "__main__":
    main()
