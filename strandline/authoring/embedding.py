"""Embeds flows in Markdown docs by import path: diagrams are drawn when the docs are built."""

import re
from collections.abc import Callable
from html import escape

from fsm import Flow
from fsm.diagrams import dot, mermaid, table
from fsm.diagrams.table import summary
from strandline.authoring.rendering import render
from strandline.flows.discovery import flow_at

FORMATS = ("svg", "mermaid")

_BLOCK = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<kind>[^`\n]*)\n"
    r"(?P<text>.*?)^(?P=indent)(?P=fence) *$",
    re.MULTILINE | re.DOTALL,
)
"""Matches a code block of any kind. A block inside a longer fence is part of that longer block, and
so is left unchanged."""


def expanded(markdown: str, *, form: str = "svg") -> str:
    """Return the Markdown page with a diagram in place of each ``strandline-flow`` code block.

    The block contains only a flow's import path, ``package.module:Class``. It is replaced by the
    flow's diagram, and the table of what a restart keeps and forgets in each state.

    Args:
        markdown: The page.
        form: ``svg`` puts the drawn diagram into the page; ``mermaid`` puts its text into a code
            block, which a script of the page draws.

    Raises:
        NotFound: A block names no flow.
        NotDrawn: A diagram can't be drawn.
    """

    def replaced(block: re.Match[str]) -> str:
        if block["kind"].strip() != "strandline-flow":
            return block[0]
        text = _section(flow_at(block["text"].strip()), form)
        return "\n".join(f"{block['indent']}{line}".rstrip() for line in text.splitlines())

    return _BLOCK.sub(replaced, markdown)


def svg(flow: type[Flow]) -> str:
    """Return the flow's diagram as an SVG element for an HTML page.

    Raises:
        NotDrawn: The diagram can't be drawn.
    """
    drawn = render(dot([flow]), "svg").decode()
    element = re.sub(r' id="[^"]*"', "", drawn[drawn.index("<svg") :]).replace("\n", " ")
    caption = escape(f"{flow.__name__}: {summary(flow)}")
    return element.replace(
        "<svg ", f'<svg role="img" aria-label="{caption}" style="max-width:100%;height:auto" ', 1
    )


def _section(flow: type[Flow], form: str) -> str:
    draw: Callable[[type[Flow]], str] = _block if form == "mermaid" else _figure
    return f"{draw(flow)}\n\n{table(flow)}"


def _figure(flow: type[Flow]) -> str:
    return f'<div class="strandline-flow">{svg(flow)}</div>'


def _block(flow: type[Flow]) -> str:
    return f"```mermaid\n{mermaid(flow).rstrip()}\n```"
