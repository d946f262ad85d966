"""Pictures of flows: Mermaid, DOT, tables, JSON. Pure text, the same for the same flow.

Each is also a format of the flow class itself: ``f"{Rota:mermaid}"``.
"""

from fsm.flow import FORMATS
from fsm.pictures.as_json import as_json
from fsm.pictures.dot import dot
from fsm.pictures.mermaid import mermaid
from fsm.pictures.table import overview, page, table

FORMATS.update(mermaid=mermaid, dot=lambda flow: dot([flow]), table=table, json=as_json, page=page)

__all__ = ["as_json", "dot", "mermaid", "overview", "page", "table"]
