"""The MkDocs plugin: replaces ``strandline-flow`` code blocks by diagrams of the flows they name.

In ``mkdocs.yml``::

    plugins:
      - strandline
"""

from pathlib import Path
from typing import Any

from mkdocs.config import base, config_options
from mkdocs.exceptions import PluginError
from mkdocs.plugins import BasePlugin

from fsm.errors import StrandlineError
from strandline.authoring.embedding import FORMATS, expanded
from strandline.flows.discovery import can_import_from


class FlowsConfig(base.Config):  # type: ignore[no-untyped-call]
    """The plugin's settings.

    Attributes:
        format: ``svg`` for drawn diagrams, ``mermaid`` for diagrams that a script of the page
            draws.
    """

    format = config_options.Choice(FORMATS, default="svg")


class FlowsPlugin(BasePlugin[FlowsConfig]):  # type: ignore[no-untyped-call]
    """Draws diagrams of flows into the pages of a site."""

    def on_config(self, config: Any) -> None:
        """Make modules next to ``mkdocs.yml`` importable."""
        can_import_from(Path(config.config_file_path or "mkdocs.yml").parent.absolute())

    def on_page_markdown(self, markdown: str, /, *, page: Any, **_more: Any) -> str:
        """Return the page's Markdown with diagrams instead of its ``strandline-flow`` blocks.

        Raises:
            PluginError: A block names no flow, or its diagram can't be drawn.
        """
        try:
            return expanded(markdown, form=self.config.format)
        except StrandlineError as error:
            message = f"{page.file.src_uri}: {error}"
            raise PluginError(message) from error
