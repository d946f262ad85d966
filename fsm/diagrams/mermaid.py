"""A flow as a Mermaid flowchart (mermaid.js.org, "Flowcharts")."""

from collections.abc import Iterator

from fsm.diagrams.drawing import Arrow, arrows
from fsm.flow import Flow
from fsm.states import State, Tier

_DASHES = "stroke-dasharray:5 4"
CLASSES = (  # colours are set together, so that they can be read on light and on dark
    "classDef durable fill:#d7efe2,stroke:#2f9e6f,stroke-width:2px,color:#0d2b20",
    f"classDef ephemeral fill:#fdf0d2,stroke:#c8871e,stroke-width:2px,color:#3c2603,{_DASHES}",
    "classDef idle fill:#e6eaf0,stroke:#4a5568,stroke-width:1px,color:#1a202c",
)


def mermaid(flow: type[Flow]) -> str:
    """The flow's diagram as Mermaid text. Ends with a newline."""
    return "\n".join(("flowchart LR", *(f"    {line}" for line in _lines(flow)))) + "\n"


def _lines(flow: type[Flow]) -> Iterator[str]:
    yield from CLASSES
    yield from map(_node, flow.states.values())
    yield from map(_arrow, arrows(flow))


def _node(state: State) -> str:
    identity, name = f"s_{state.name}", state.name
    if state.initial:
        return f"{identity}(({name})):::idle"
    if state.tier is Tier.DURABLE:
        return f"{identity}[[{name}]]:::durable"
    return f"{identity}({name}):::ephemeral"


def _arrow(arrow: Arrow) -> str:
    source, target = f"s_{arrow.source.name}", f"s_{arrow.target.name}"
    if arrow.is_restart:
        return f"{source} -. restart .-> {target}"
    text = "<br/>".join(_escaped(line) for line in dict.fromkeys(arrow.labels))
    return f'{source} -- "{text}" --> {target}'


def _escaped(text: str) -> str:
    """The text escaped for Mermaid's quotation marks: special characters become entities."""
    return text.translate(_ENTITIES)


_ENTITIES = {ord(character): f"#{ord(character)};" for character in '#;&"<>`\\[]{}|'}
