"""Diagrams of flows as text: Mermaid, DOT, Markdown tables and JSON.

For the same flow, the text is always the same. All but ``overview`` are also formats of the flow
class: ``f"{Rota:mermaid}"``.
"""

from fsm.diagrams.as_json import as_json
from fsm.diagrams.dot import dot
from fsm.diagrams.mermaid import mermaid
from fsm.diagrams.table import overview, page, table
from fsm.formats import FORMATS

FORMATS.update(mermaid=mermaid, dot=lambda flow: dot([flow]), table=table, json=as_json, page=page)

__all__ = ["as_json", "dot", "mermaid", "overview", "page", "table"]
