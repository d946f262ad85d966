"""Flows in Markdown: the loss contract, and pages with diagrams."""

from collections.abc import Sequence

from fsm.diagrams.drawing import LEGEND, all_causes_of, losses
from fsm.diagrams.mermaid import mermaid
from fsm.events import Event, Target, origins
from fsm.flow import Flow

ORDER = "Each event is offered to the flows in this order. The first that answers it handles it."


def table(flow: type[Flow]) -> str:
    """The loss contract as a table: what a restart does in each state, and what the user sees."""
    lines = ["| state | tier | a restart | what the user sees |", "|---|---|---|---|"]
    lines += [
        f"| `{loss.state.name}` | {loss.tier} | {_cell(loss.restart)} | {_cell(loss.seen)} |"
        for loss in losses(flow)
    ]
    return "\n".join(lines) + "\n"


def events(flow: type[Flow]) -> str:
    """All events as a table: causes, sources and targets."""
    lines = ["| event | caused by | from | to |", "|---|---|---|---|"]
    for event in flow.events.values():
        causes = ", ".join(all_causes_of(event)) or "another turn"
        sources = ", ".join(f"`{source.name}`" for source in event.sources)
        target = _target(flow, event)
        lines.append(f"| `{event.name}` | {_cell(causes)} | {sources} | {target} |")
    return "\n".join(lines) + "\n"


def _target(flow: type[Flow], event: Event) -> str:
    match event.target:
        case Target.STAY:
            return "stays"
        case Target.BACK:
            events = flow.events.values()
            found = [state for source in event.sources for state in origins(events, source)]
            return "back to " + " or ".join(f"`{state.name}`" for state in dict.fromkeys(found))
        case state:
            return f"`{state.name}`"


def page(flow: type[Flow]) -> str:
    """A page about the flow: its diagram, a legend, its loss contract, its events."""
    return "\n\n".join(
        (
            f"# {flow.__name__}",
            summary(flow),
            f"```mermaid\n{mermaid(flow).rstrip()}\n```",
            LEGEND,
            table(flow),
            events(flow),
        )
    )


def overview(flows: Sequence[type[Flow]]) -> str:
    """A page that lists the flows, in the order in which they are offered an event."""
    lines = ["| flow | one for each | what it keeps | what it forgets | commands |"]
    lines += ["|---|---|---|---|---|"]
    lines += [_line(flow) for flow in flows]
    return "\n\n".join(
        (
            "# Flows",
            ORDER,
            "\n".join(lines),
            LEGEND + "\n",
        )
    )


def summary(flow: type[Flow]) -> str:
    """Return the first line of the flow's docstring; empty if the flow has none."""
    return (flow.__doc__ or "").strip().partition("\n")[0]


def _line(flow: type[Flow]) -> str:
    durable = [f"`{s.name}`" for s in flow.states.values() if not s.initial and s.is_durable]
    ephemeral = [f"`{s.name}`" for s in flow.states.values() if not s.initial and not s.is_durable]
    commands = [f"`!{name}`" for name in sorted(flow.commands()) if name != "*"]
    cells = (
        f"[{flow.__name__}]({flow.name}.md): {_cell(summary(flow))}",
        {"user": "user", "room": "room", "member": "user in a room"}[flow.scope.value],
        *(", ".join(names) or "nothing" for names in (durable, ephemeral)),
        ", ".join(commands),
    )
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
