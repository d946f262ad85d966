"""Each path, target of make and name of the code that a page mentions is in the tree."""

import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, FENCE

ROOT = DOCS.parent

LEFT_OUT = {"walkthrough.md", "comparison.md"}
"""One is generated from a conversation, one names the classes of other frameworks."""

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    ROOT / "examples" / "README.md",
    *sorted(page for page in DOCS.rglob("*.md") if page.name not in LEFT_OUT),
]

INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
TOP = "fsm|durable|ephemeral|matrix|strandline|tests|examples|docs|deploy|benchmarks"
PATH = re.compile(rf"(?:{TOP})/[\w./-]*")
TARGET = re.compile(r"make ([a-z][\w-]*)")
NAME = re.compile(r"\b(?:[A-Z][a-z]+(?:[A-Z][a-z]+)+|_?[A-Za-z]+(?:_[A-Za-z]+)+)\b")
"""A class or a function by its form: two words in one."""

OTHERS = {
    "ReadWriteOnce": "Kubernetes",
    "_cleanup_old_transaction_ids": "Synapse",
    "burst_count": "Synapse",
    "context_id": "A2A",
    "events_worker": "Synapse",
    "max_completion_tokens": "OpenAI",
    "messages_per_second": "Synapse",
    "override_ratelimit": "Synapse",
    "rc_invites": "Synapse",
    "rc_message": "Synapse",
    "rc_room_creation": "Synapse",
    "sync_response_cache_duration": "Synapse",
    "top_p": "OpenAI",
}
"""Names that belong to other programs."""

SOURCES = ("*.py", "*.sql", "*.yaml", "*.toml", "Makefile")


def inline(page: Path) -> list[str]:
    """The code in the running text of a page, fenced blocks aside."""
    return INLINE.findall(FENCE.sub("", page.read_text("utf-8")))


@cache
def words() -> frozenset[str]:
    """Every word of the code and of the pages' own fenced blocks."""
    files = [
        path
        for folder in (*TOP.split("|"), "docs/tools")
        for kind in SOURCES
        for path in (ROOT / folder).rglob(kind)
    ]
    files += [ROOT / name for name in ("Makefile", "pyproject.toml", "config.example.yaml")]
    texts = [path.read_text("utf-8") for path in files if path != Path(__file__)]
    texts += [found["text"] for page in PAGES for found in FENCE.finditer(page.read_text("utf-8"))]
    return frozenset(word for text in texts for word in re.findall(r"\w+", text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_paths_that_a_page_names_are_there(page: Path) -> None:
    named = [found for code in inline(page) if (found := PATH.fullmatch(code))]

    assert [path[0] for path in named if not (ROOT / path[0]).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_targets_of_make_that_a_page_names_are_there(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    named = [found[1] for code in inline(page) if (found := TARGET.match(code))]

    assert [name for name in named if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_names_that_a_page_mentions_are_in_the_code(page: Path) -> None:
    named = {
        name
        for code in inline(page)
        if not PATH.match(code)
        for name in NAME.findall(re.sub(r"\W", " ", code))
    }

    assert sorted(named - words() - OTHERS.keys()) == []
