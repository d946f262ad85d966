"""Flows in Graphviz's DOT language (graphviz.org, "DOT Language")."""

from collections.abc import Iterator, Sequence

from fsm.diagrams.drawing import Arrow, arrows
from fsm.flow import Flow
from fsm.states import State, Tier

_STYLES = {
    Tier.DURABLE: 'shape=box style="filled" peripheries=2 '
    'fillcolor="#d7efe2" color="#2f9e6f" fontcolor="#0d2b20"',
    Tier.EPHEMERAL: 'shape=box style="rounded,filled,dashed" '
    'fillcolor="#fdf0d2" color="#c8871e" fontcolor="#3c2603"',
    None: 'shape=circle style="filled" fillcolor="#e6eaf0" color="#4a5568" fontcolor="#1a202c"',
}
_HEAD = (
    'graph [rankdir=LR bgcolor="transparent" fontname="Helvetica" fontcolor="#718096"]',
    "graph [nodesep=0.45 ranksep=0.9 pad=0.2]",
    'node [fontname="Helvetica" fontsize=12 margin="0.18,0.1"]',
    'edge [fontname="Helvetica" fontsize=10 color="#718096" fontcolor="#718096" arrowsize=0.7]',
)
"""Settings of the graph. Its grey is readable on light and on dark backgrounds."""

_LEGEND = (
    "double border: durable, a restart brings it back\n"
    "dashed border: ephemeral, a restart forgets it; the dotted arrow says where that leads\n"
    "round: idle"
)


def dot(flows: Sequence[type[Flow]]) -> str:
    """Return the diagrams of the flows with a legend, as one DOT graph that ends with a newline.

    A single flow has no frame. Several flows have a frame each, labelled with the class name.
    """
    lines = [*_HEAD, f"graph [label={_quoted(_LEGEND)} labelloc=b fontsize=9]"]
    for flow in flows:
        body = list(_flow(flow))
        lines += body if len(flows) == 1 else _frame(f"cluster_{flow.name}", flow.__name__, body)
    return "\n".join(("digraph flows {", *(f"    {line}" for line in lines), "}")) + "\n"


def _flow(flow: type[Flow]) -> Iterator[str]:
    for state in flow.states.values():
        yield f"{_identity(flow, state)} [label={_quoted(state.name)} {_STYLES[state.tier]}]"
    for arrow in arrows(flow):
        yield _arrow(flow, arrow)


def _arrow(flow: type[Flow], arrow: Arrow) -> str:
    text = "\n".join(dict.fromkeys(arrow.labels))
    style = " style=dotted constraint=false" if arrow.is_restart else ""
    ends = f"{_identity(flow, arrow.source)} -> {_identity(flow, arrow.target)}"
    return f"{ends} [label={_quoted(text)}{style}]"


def _frame(name: str, text: str, body: list[str]) -> list[str]:
    quoted = _quoted(name)
    head = f'subgraph {quoted} {{ label={_quoted(text)} fontsize=11 color="#a0aec0" style=rounded'
    return [head, *(f"    {line}" for line in body), "}"]


def _identity(flow: type[Flow], state: State) -> str:
    return _quoted(f"{flow.name}.{state.name}")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
