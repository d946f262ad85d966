"""What the site has besides MkDocs: links out of the docs, flows shown in pages, the commands."""

import atexit
import logging
import posixpath
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.pages import Page

from strandline.authoring.embedding import svg
from strandline.cli.main import cli
from strandline.flows.order import FLOWS

ROOT = Path(__file__).parent.parent.parent

LINK = re.compile(r"\[(?P<text>[^\]]+)\]\((?P<path>\.\./[^)#]+)(?:#[^)]*)?\)")
FILE = re.compile(
    r'^```python title="(?P<name>[^"/]+)"[^\n]*\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL
)
MERMAID = re.compile(r"^```mermaid\n.*?^```$", re.MULTILINE | re.DOTALL)
COMMANDS = "<!-- commands -->"

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
    """Name files that are no pages, draw flows, and list the commands of the command line."""

    def outside(link: re.Match[str]) -> str:
        path = posixpath.normpath(
            posixpath.join("docs", posixpath.dirname(page.file.src_uri), link["path"])
        )
        if path.startswith("docs/"):
            return link[0]
        if not (ROOT / path).exists():
            _log.warning("%s links to %s, which is not there", page.file.src_uri, path)
        return link["text"]

    markdown = LINK.sub(outside, markdown).replace(COMMANDS, "\n".join(_commands(cli, None)))
    own = {f"flows/{flow.name}.md": flow for flow in FLOWS}.get(page.file.src_uri)
    if own is None:
        return markdown
    page.meta["hide"] = ["toc"]  # leaves the room to the picture
    picture = f'<div class="strandline-flow">{svg(own)}</div>'
    return MERMAID.sub(lambda _: picture, markdown)


def _commands(command: click.Command, parent: click.Context | None) -> Iterator[str]:
    """What each command says of itself when it is asked for help."""
    name = command.name if parent else "strandline"
    context = click.Context(command, parent=parent, info_name=name, max_content_width=88)
    context.help_option_names = ["-h", "--help"]
    yield f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    for inner in command.list_commands(context) if isinstance(command, click.Group) else ():
        if (found := command.get_command(context, inner)) is not None:
            yield from _commands(found, context)
