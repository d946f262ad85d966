"""Every sentence that the bot says stands in the catalogue, in every language."""

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.plurals import get_plural
from babel.messages.pofile import read_po

from strandline.flows.languages import LANGUAGES, translator_for
from tests.support.catalogue import (
    FOLDERS,
    ROOT,
    TEMPLATE,
    TRANSLATED,
    collected,
    sentences,
    translations,
)

RUN = "run `make locale`"

SAYING = ("reply", "say", "ask_back", "edit")
"""The methods of a turn that say something."""

MESSAGES = ("Reply", "Edit", "NewRoom", "Question")
"""What carries something that is said."""

CATALOGUE = ("gettext", "ngettext", "sentence")
"""What takes a sentence to the catalogue."""


def test_the_template_has_the_sentences_of_the_code_and_no_other() -> None:
    with TEMPLATE.open("rb") as file:
        template = read_po(file)

    assert _ids(template) == _ids(collected()), RUN


@pytest.mark.parametrize("code", TRANSLATED)
def test_a_language_has_the_sentences_of_the_template_and_no_other(code: str) -> None:
    assert _ids(translations(code)) == _ids(collected()), RUN


@pytest.mark.parametrize("code", TRANSLATED)
def test_every_sentence_is_translated_and_reviewed(code: str) -> None:
    missing = [m.id for m in sentences(translations(code)) if not all(_strings(m))]
    fuzzy = [m.id for m in sentences(translations(code)) if m.fuzzy]

    assert (missing, fuzzy) == ([], [])


@pytest.mark.parametrize("code", TRANSLATED)
def test_a_translation_has_the_gaps_of_its_sentence(code: str) -> None:
    wrong = [
        (text, string)
        for message in sentences(translations(code))
        for text in _tuple(message.id)[-1:]  # a form for 1 may also be for 21: all have the number
        for string in _strings(message)
        if _gaps(text) != _gaps(string)
    ]

    assert wrong == []


@pytest.mark.parametrize("code", TRANSLATED)
def test_a_plural_has_the_number_of_forms_that_its_language_has(code: str) -> None:
    forms = get_plural(code).num_plurals
    plurals = [m for m in sentences(translations(code)) if isinstance(m.id, tuple)]

    assert plurals
    assert [m.id for m in plurals if len(_strings(m)) != forms] == []


@pytest.mark.parametrize("code", TRANSLATED)
def test_what_is_compiled_is_what_the_translators_wrote(code: str) -> None:
    catalogue = translator_for(code).catalogue

    for message in sentences(translations(code)):
        match message.id:
            case (str(one), str(many)):
                said = {catalogue.ngettext(one, many, n) for n in range(200)}
                assert said == set(_strings(message)), RUN
            case str(text):
                assert (catalogue.gettext(text),) == _strings(message), RUN


def test_the_second_form_of_a_plural_has_its_number() -> None:
    plurals = [m.id for m in sentences(collected()) if isinstance(m.id, tuple)]

    assert [ids for ids in plurals if "count" not in _gaps(ids[1])] == []


def test_every_call_of_the_catalogue_has_a_sentence_to_collect() -> None:
    wrong = [
        f"{place}: {ast.unparse(call)}"
        for place, call in _calls(CATALOGUE)
        for given in call.args[: 2 if _called(call) == "ngettext" else 1]
        if not _is_collected(given)
    ]

    assert wrong == [], "write the sentence out as one literal, or mark it with sentence(…)"


def test_every_gap_of_a_sentence_is_filled_where_it_is_said() -> None:
    wrong = [
        f"{place}: {ast.unparse(call)}"
        for place, call in _calls(("gettext", "ngettext"))
        if all(isinstance(given, ast.Constant) for given in call.args[: _texts_of(call)])
        and not any(keyword.arg is None for keyword in call.keywords)
        and _missing(call)
    ]

    assert wrong == []


def test_nothing_is_said_that_bypasses_the_catalogue() -> None:
    wrong = [
        f"{place}: {ast.unparse(part)}"
        for place, call in _calls(SAYING + MESSAGES)
        for given in (*call.args, *(k.value for k in call.keywords if k.arg in ("text", "name")))
        for part in _bare_texts(given)
        if _has_words(part)
    ]

    assert wrong == [], "say it with turn.gettext(…) or turn.ngettext(…)"


def test_no_flow_holds_a_sentence_that_bypasses_the_catalogue() -> None:
    wrong = [
        f"{path}:{part.lineno}: {ast.unparse(part)}"
        for path, tree in _trees()
        if any(_is_flow(node) for node in tree.body)
        for part in _bare_texts(tree)
        if re.search(r"\w\s+\S", _text(part)) and _has_words(part)
    ]

    assert wrong == [], "say it with turn.gettext(…) or turn.ngettext(…)"


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        ('turn.reply("All right.")', True),
        ("turn.reply(f'Hello {name}')", True),
        ("turn.say(text=f'- {one}: two')", True),
        ("turn.reply(turn.gettext('All right.'))", False),
        ("turn.reply(f'- {one}\\n- `{prefix}help`')", False),
        ("turn.reply(text)", False),
    ],
)
def test_a_bare_sentence_is_told_from_one_that_is_looked_up(source: str, *, is_found: bool) -> None:
    call = ast.parse(source).body[0]

    assert any(_has_words(part) for part in _bare_texts(call)) is is_found


@pytest.mark.parametrize(
    ("count", "english", "russian"),
    [
        (1, "1 minute", "1 минуту"),
        (2, "2 minutes", "2 минуты"),
        (5, "5 minutes", "5 минут"),
        (11, "11 minutes", "11 минут"),
        (21, "21 minutes", "21 минуту"),
        (22, "22 minutes", "22 минуты"),
    ],
)
def test_numbers_are_right_in_both_languages(count: int, english: str, russian: str) -> None:
    length = timedelta(minutes=count)

    assert translator_for("en").duration(length) == english
    assert translator_for("ru").duration(length) == russian


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 seconds"),
        (0.2, "1 second"),
        (90, "90 seconds"),
        (3600, "1 hour"),
        (7200, "2 hours"),
        (86400, "1 day"),
        (5400, "90 minutes"),
    ],
)
def test_a_duration_is_said_in_the_largest_unit_that_is_exact(
    seconds: float, expected: str
) -> None:
    assert translator_for("en").duration(timedelta(seconds=seconds)) == expected


def test_a_time_is_written_as_the_language_writes_it() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    assert translator_for("en").moment(at) == "2026-01-02 03:04:05 UTC"
    assert translator_for("ru").moment(at) == "02.01.2026 03:04:05 UTC"


def test_a_language_is_loaded_once_and_an_unknown_one_is_the_default() -> None:
    assert translator_for("ru") is translator_for("ru")
    assert translator_for(None).code == translator_for("xx").code == "en"
    assert (
        translator_for(None, default="ru")
        is translator_for("xx", default="ru")
        is translator_for("ru")
    )


@pytest.mark.parametrize("code", LANGUAGES)
def test_an_empty_text_stays_empty(code: str) -> None:
    assert translator_for(code).gettext("") == ""


def _ids(catalog: Catalog) -> set[object]:
    return {message.id for message in sentences(catalog)}


def _strings(message: Message) -> tuple[str, ...]:
    return _tuple(message.string)


def _tuple(texts: object) -> tuple[str, ...]:
    return tuple(texts) if isinstance(texts, tuple | list) else (str(texts or ""),)


def _gaps(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def _trees() -> Iterator[tuple[Path, ast.Module]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT)
            if "testing" not in name.parts:
                yield name, ast.parse(path.read_text(encoding="utf-8"))


def _calls(names: tuple[str, ...]) -> Iterator[tuple[str, ast.Call]]:
    for path, tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _called(node) in names:
                yield f"{path}:{node.lineno}", node


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)


def _is_collected(given: ast.expr) -> bool:
    """A literal, or what was marked where it stands."""
    is_literal = isinstance(given, ast.Constant) and isinstance(given.value, str)
    return is_literal or isinstance(given, ast.Name | ast.Attribute | ast.Subscript)


def _texts_of(call: ast.Call) -> int:
    return 2 if _called(call) == "ngettext" else 1


def _missing(call: ast.Call) -> set[str | None]:
    said = [ast.literal_eval(given) for given in call.args[: _texts_of(call)]]
    filled = {keyword.arg for keyword in call.keywords}
    return set().union(*(_gaps(text) for text in said)) - filled - {"count"}


def _bare_texts(node: ast.AST) -> Iterator[ast.Constant | ast.JoinedStr]:
    """The texts in ``node`` that are neither looked up nor for developers."""
    if isinstance(node, ast.Call) and _called(node) in CATALOGUE:
        return
    is_logged = isinstance(node, ast.Call) and ast.unparse(node.func).startswith("_log.")
    if is_logged or isinstance(node, ast.Raise | ast.Assert) or _is_docstring(node):
        return
    if isinstance(node, ast.keyword) and node.arg == "lost":  # for the docs
        return
    if isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    ):
        yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant)):
            yield from _bare_texts(child)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _text(part: ast.Constant | ast.JoinedStr) -> str:
    """The text, with a mark for what is filled in, without code spans."""
    if isinstance(part, ast.Constant):
        text = str(part.value)
    else:
        text = "".join(
            str(piece.value) if isinstance(piece, ast.Constant) else "\N{REPLACEMENT CHARACTER}"
            for piece in part.values
        )
    return re.sub(r"`[^`]*`", "", text)


def _has_words(part: ast.Constant | ast.JoinedStr) -> bool:
    return bool(re.search(r"[^\W\d_]{2}", _text(part)))


def _is_flow(node: ast.stmt) -> bool:
    return isinstance(node, ast.ClassDef) and any(
        isinstance(base, ast.Name) and base.id == "Flow" for base in node.bases
    )
