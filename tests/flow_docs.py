"""Writes ``docs/flows.md``: ``python -m tests.flow_docs``."""

from pathlib import Path

from fsm import Flow
from fsm.diagram import markdown
from strandline.flows import FLOWS

PAGE = Path(__file__).parent.parent / "docs" / "flows.md"

HEAD = """# Flows

Each conversation that the bot can have, drawn from its class. `make diagrams` writes this page,
and a test fails when it is out of date.

A state with a double border is **durable**: a restart brings it back. One with a dashed border is
**ephemeral**: a restart forgets it, and the dotted arrow says where it leaves the conversation.
Idle is round. Events that change no state are left out.

The flows are offered each event in this order; the first whose present state answers it has it.
"""


def page(flows: tuple[type[Flow], ...] = FLOWS) -> str:
    return "\n".join([HEAD, *(markdown(flow) for flow in flows)])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
