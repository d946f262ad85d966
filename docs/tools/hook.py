"""What the site has besides MkDocs: links out of the docs, and flows shown in pages."""

import atexit
import logging
import posixpath
import re
import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.pages import Page

from strandline.authoring.embedding import svg
from strandline.flows.builtin import FLOWS

ROOT = Path(__file__).parent.parent.parent

LINK = re.compile(r"\[(?P<text>[^\]]+)\]\((?P<path>\.\./[^)#]+)(?:#[^)]*)?\)")
FILE = re.compile(
    r'^```python title="(?P<name>[^"/]+)"[^\n]*\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL
)
MERMAID = re.compile(r"^```mermaid\n.*?^```$", re.MULTILINE | re.DOTALL)

_log = logging.getLogger("mkdocs.hooks.strandline")


def on_config(config: MkDocsConfig) -> None:
    """Let the flows that pages show be imported, so that they can be drawn."""
    folder = mkdtemp(prefix="strandline-docs-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for page in sorted(Path(config.docs_dir).rglob("*.md")):
        source = page.read_text(encoding="utf-8")
        if "```strandline-flow" not in source:
            continue
        for shown in FILE.finditer(source):
            (Path(folder) / shown["name"]).write_text(shown["text"], encoding="utf-8")
    sys.path[:0] = [folder, str(ROOT)]


def on_page_markdown(markdown: str, *, page: Page, **_rest: Any) -> str:
    """Name files that are no pages, and draw flows."""

    def outside(link: re.Match[str]) -> str:
        path = posixpath.normpath(
            posixpath.join("docs", posixpath.dirname(page.file.src_uri), link["path"])
        )
        if path.startswith("docs/"):
            return link[0]
        if not (ROOT / path).exists():
            _log.warning("%s links to %s, which is not there", page.file.src_uri, path)
        return link["text"]

    markdown = LINK.sub(outside, markdown)
    own = {f"flows/{flow.name}.md": flow for flow in FLOWS}.get(page.file.src_uri)
    if own is None:
        return markdown
    page.meta["hide"] = ["toc"]  # leaves the room to the picture
    picture = f'<div class="strandline-flow">{svg(own)}</div>'
    return MERMAID.sub(lambda _: picture, markdown)
