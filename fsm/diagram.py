"""Pictures of flows: states with their tiers, events with what causes them, what a restart does.

A durable state has a double border, an ephemeral one a dashed border, idle is round; the dotted
arrows are what a restart does. The text is the same, byte for byte, for the same flow.
"""

from collections.abc import Iterator

from fsm.events import ANY, Event
from fsm.flow import Flow
from fsm.states import State, Tier

_CLASSES = (
    "classDef durable stroke-width:2px",
    "classDef ephemeral stroke-dasharray:5 4",
    "classDef idle stroke-width:1px",
)


def mermaid(flow: type[Flow]) -> str:
    """The flow as the text of a Mermaid flowchart.

    Events that lead nowhere else are left out of it: they answer and change nothing. The same
    arrow for several events has all their names.
    """
    lines = ["flowchart LR", *(f"    {line}" for line in _CLASSES)]
    lines += [f"    {_node(state)}" for state in flow.states.values()]
    lines += [f"    {arrow}" for arrow in _arrows(flow)]
    lines += [
        f"    {state.name} -. restart .-> {target.name}"
        for state in flow.states.values()
        if state.tier is Tier.EPHEMERAL
        for target in fallbacks(flow, state)
    ]
    return "\n".join(lines) + "\n"


def fallbacks(flow: type[Flow], state: State) -> list[State]:
    """Where a restart may leave a conversation that stands in ``state``, in the class's order.

    That is the state itself if it is durable or idle, else the durable states, or idle, that it was
    last in.
    """
    found: set[State] = set()
    seen: set[State] = set()
    ahead = [state]
    while ahead:
        present = ahead.pop()
        seen.add(present)
        if present.tier is not Tier.EPHEMERAL:
            found.add(present)
            continue
        ahead += [
            source
            for event in flow.events.values()
            for source in event.sources
            if event.target_from(source) is present and source not in seen
        ]
    return [candidate for candidate in flow.states.values() if candidate in found]


def _node(state: State) -> str:
    if state.initial:
        return f"{state.name}(({state.name})):::idle"
    if state.tier is Tier.DURABLE:
        return f"{state.name}[[{state.name}]]:::durable"
    return f"{state.name}({state.name}):::ephemeral"


def _arrows(flow: type[Flow]) -> Iterator[str]:
    for source in flow.states.values():
        for target in flow.states.values():
            labels = [
                _label(event)
                for event in flow.events.values()
                if source in event.sources and event.target_from(source) is target
                if target is not source or isinstance(event.target, State)
            ]
            if source.expires and target.initial and not _says_how_it_ends(flow, source):
                labels.append("time is up")
            if labels:
                text = "<br/>".join(dict.fromkeys(labels))
                yield f'{source.name} -- "{text}" --> {target.name}'


def _says_how_it_ends(flow: type[Flow], state: State) -> bool:
    return any(event.expiry and state in event.sources for event in flow.events.values())


def _label(event: Event) -> str:
    causes = [f"!{name}" for name in event.command if name != ANY]
    causes += event.reaction
    if event.answer:
        causes.append("reply")
    if event.text:
        causes.append("text")
    if event.kind:
        causes.append(event.kind.value)
    if event.expiry:
        causes.append("time is up")
    return f"{event.name}: {' '.join(causes)}" if causes else event.name


def markdown(flow: type[Flow]) -> str:
    """The flow as a section of a Markdown page: its picture, and what a restart does to each state.

    Its heading is of the second level.
    """
    lines = [f"## {flow.__name__}", "", (flow.__doc__ or "").strip().partition("\n")[0], ""]
    lines += ["```mermaid", mermaid(flow).rstrip(), "```", ""]
    lines += ["| state | tier | a restart |", "|---|---|---|"]
    lines += [
        f"| `{state.name}` | {state.tier.value if state.tier else 'idle'} | {_fate(flow, state)} |"
        for state in flow.states.values()
    ]
    return "\n".join(lines) + "\n"


def _fate(flow: type[Flow], state: State) -> str:
    """What a restart does to a conversation that stands in ``state``."""
    if state.initial:
        return "changes nothing"
    if state.tier is Tier.DURABLE:
        carried = f", with its `{state.record.__name__}`" if state.record else ""
        return f"brings it back{carried}"
    targets = " or ".join(f"`{target.name}`" for target in fallbacks(flow, state))
    carried = f"; its `{state.memory.__name__}` is forgotten" if state.memory else ""
    return f"leaves it at {targets}{carried}"
