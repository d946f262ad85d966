"""The Sphinx directive ``strandline-flow``: a flow's diagram, and what a restart loses.

In ``conf.py``::

    extensions = ["strandline.authoring.sphinx"]

and in a page::

    .. strandline-flow:: package.module:Class
       :no-table:
"""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.addnodes import only
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from fsm import Flow
from fsm.diagrams import mermaid
from fsm.diagrams.drawing import losses
from fsm.errors import StrandlineError
from strandline.authoring.embedding import svg
from strandline.flows.discovery import can_import_from, flow_at


class FlowDirective(SphinxDirective):
    """Draws the diagram of the flow at an import path, and a table of what a restart loses."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {"no-table": directives.flag}

    def run(self) -> list[nodes.Node]:
        """Return the nodes of the diagram and, unless ``:no-table:`` is given, of the table.

        Raises:
            ExtensionError: There is no such flow, or its diagram can't be drawn. The build ends.
        """
        try:
            flow = flow_at(self.arguments[0])
            drawn: list[nodes.Node] = list(_picture(flow))
        except StrandlineError as error:
            source, line = self.get_source_info()
            message = f"{source}:{line}: {error}"
            raise ExtensionError(message) from error
        for source in _sources(flow):
            self.env.note_dependency(source)
        return drawn if "no-table" in self.options else [*drawn, _table(flow)]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive, and make modules next to ``conf.py`` importable.

    Returns:
        The metadata of the Sphinx extension.
    """
    can_import_from(Path(app.confdir).absolute())
    app.add_directive("strandline-flow", FlowDirective)
    return {"version": version("strandline"), "parallel_read_safe": True}


def _sources(flow: type[Flow]) -> list[str]:
    """The source files of the flow: a page is rebuilt when one of them has changed."""
    written = [sys.modules[cls.__module__] for cls in flow.__mro__ if cls not in Flow.__mro__]
    return sorted({source for module in written if (source := getattr(module, "__file__", None))})


def _picture(flow: type[Flow]) -> list[nodes.Node]:
    """The drawn diagram for HTML pages, and its text for other formats."""
    shown = nodes.raw("", f'<div class="strandline-flow">{svg(flow)}</div>', format="html")
    text = nodes.literal_block("", mermaid(flow), language="none")
    return [shown, only("", text, expr="not html")]


def _table(flow: type[Flow]) -> nodes.table:
    head = ("state", "tier", "a restart", "what the user sees")
    rows = [(loss.state.name, loss.tier, loss.restart, loss.seen) for loss in losses(flow)]
    group = nodes.tgroup(cols=len(head))
    group += [nodes.colspec(colwidth=1) for _ in head]
    group += nodes.thead("", _row(head))
    group += nodes.tbody("", *(_row(row) for row in rows))
    return nodes.table("", group)


def _row(cells: tuple[str, ...]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", *_marked(c))) for c in cells))


def _marked(text: str) -> list[nodes.Node]:
    """The text, with backticks converted to code nodes."""
    return [
        nodes.literal(part, part) if number % 2 else nodes.Text(part)
        for number, part in enumerate(text.split("`"))
        if part
    ]
