import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import strandline
import strandline.agents
import strandline.testing
from tests.docs.pages import DOCS, blocks

FETCHED = re.compile(
    r'<(?:script|img|iframe)\b[^>]*\bsrc="?(https?:)?//'
    r'|<link\b(?=[^>]*rel="?(?:stylesheet|preload|preconnect|icon))[^>]*href="?(https?:)?//'
    r"|url\([\"']?(https?:)?//",
    re.IGNORECASE,
)
"""What a browser gets from elsewhere without being told to by its reader."""

PUBLIC = (strandline, strandline.agents, strandline.testing)

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build = subprocess.run(  # noqa: S603  # ours
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=DOCS.parent,
        env={
            **os.environ,
            "NO_MKDOCS_2_WARNING": "1",
            "http_proxy": NOWHERE,
            "https_proxy": NOWHERE,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 0, build.stdout + build.stderr
    assert "WARNING" not in build.stderr, build.stderr
    return folder


@pytest.mark.timeout(3600)
def test_a_reader_fetches_nothing_from_elsewhere(site: Path) -> None:
    shown = [*site.rglob("*.html"), *site.rglob("*.css")]

    assert len(shown) > 20
    assert [path.name for path in shown if FETCHED.search(path.read_text("utf-8"))] == []


@pytest.mark.timeout(3600)
def test_no_page_needs_mermaid_to_be_loaded(site: Path) -> None:
    pages = [page.name for page in site.rglob("*.html") if 'class="mermaid"' in page.read_text()]

    assert pages == []


@pytest.mark.timeout(3600)
def test_the_reference_has_every_public_name(site: Path) -> None:
    text = "".join(page.read_text("utf-8") for page in (site / "reference").glob("*.html"))

    public = [name for module in PUBLIC for name in module.__all__]
    assert [name for name in public if f"<code>{name}</code>" not in text] == []


@pytest.mark.parametrize("page", ["index.md", "reference/index.md"])
def test_code_on_the_first_pages_can_be_run(page: str) -> None:
    [shown] = [block for block in blocks(DOCS / page) if block.kind == "python"]
    exec(shown.text, {})  # noqa: S102  # the page's own


@pytest.mark.parametrize("page", ["security.md", "reliability.md"])
def test_the_tests_that_a_page_names_are_there(page: str) -> None:
    named = re.findall(r"`(tests/[\w/.]+)`", (DOCS / page).read_text())

    assert len(named) > 10
    assert [path for path in named if not (DOCS.parent / path).exists()] == []
