"""The content of every diagram of a flow: its states, its transitions, what a restart loses."""

from collections.abc import Iterator

from attrs import frozen

from fsm.events import ANY, STAY, Event, targets_from
from fsm.flow import Flow
from fsm.states import State, Tier

LEGEND = (
    "A state with a double border is durable: a restart brings it back. One with a dashed border "
    "is ephemeral: a restart forgets it, and the dotted arrow says where the conversation is then. "
    "Idle is round. Events that answer without leaving a state are left out."
)
"""The legend of the diagrams."""


@frozen(kw_only=True)
class Arrow:
    """One arrow of a diagram: a transition from one state to another.

    Args:
        source: The state where the arrow begins.
        target: The state where the arrow ends.
        labels: The texts on the arrow: each event with its causes, ``time is up`` or ``restart``.
        is_restart: Whether a restart causes the transition. If False, an event or an expiry does.
    """

    source: State
    target: State
    labels: tuple[str, ...]
    is_restart: bool = False


@frozen(kw_only=True)
class Loss:
    """One row of a flow's loss contract, the table of what a restart does in each state.

    Args:
        state: The state.
        tier: ``durable``, ``ephemeral`` or ``idle``.
        restart: What a restart does to a conversation in the state, as text.
        seen: What the user sees of the restart, as text.
    """

    state: State
    tier: str
    restart: str
    seen: str


def arrows(flow: type[Flow]) -> list[Arrow]:
    """Return all arrows of the flow's diagram, in the order of the class body; restarts are last.

    Events with the same source and target share one arrow. ``STAY`` events have none.
    """
    found = []
    for source in flow.states.values():
        for target in flow.states.values():
            labels = [
                label(event)
                for event in flow.events.values()
                if source in event.sources and target in _targets(flow, event, source)
                if target is not source or event.target is not STAY
            ]
            if target in _ends(flow, source):
                labels.append("time is up")
            if labels:
                found.append(Arrow(source=source, target=target, labels=tuple(labels)))
    return found + [
        Arrow(source=state, target=target, labels=("restart",), is_restart=True)
        for state in flow.states.values()
        if state.tier is Tier.EPHEMERAL
        for target in fallbacks(flow, state)
    ]


def fallbacks(flow: type[Flow], state: State) -> list[State]:
    """Return the states in which a conversation in ``state`` may be after a restart.

    If ``state`` is durable or idle, that is only ``state``. If it is ephemeral, these are the
    durable states, and idle, from which events lead to it, directly or through ephemeral states.
    The order is that of the class body.
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
            if present in _targets(flow, event, source) and source not in seen
        ]
    return [candidate for candidate in flow.states.values() if candidate in found]


def _targets(flow: type[Flow], event: Event, source: State) -> list[State]:
    return targets_from(flow.events.values(), event, source)


def losses(flow: type[Flow]) -> list[Loss]:
    """The flow's loss contract, state by state."""
    return [
        Loss(
            state=state,
            tier=state.tier.value if state.tier else "idle",
            restart=_fate(flow, state),
            seen=state.lost or _seen(flow, state),
        )
        for state in flow.states.values()
    ]


def label(event: Event) -> str:
    """Return the name of the event with its causes, as text on an arrow."""
    causes = all_causes_of(event)
    return f"{event.name}: {', '.join(causes)}" if causes else event.name


def all_causes_of(event: Event) -> list[str]:
    """Return all causes of the event as texts, the signal included."""
    signal = [f"signal {event.signal.__name__}"] if event.signal is not None else []
    return [*causes_of(event), *signal]


def causes_of(event: Event) -> Iterator[str]:
    """Yield the causes of the event as texts, but not the signal."""
    yield from (f"!{name}" for name in event.command if name != ANY)
    if ANY in event.command:
        yield "any other command"
    yield from event.reaction
    if event.reply:
        yield "reply"
    if event.text:
        yield "text" if event.text is True else f"text “{event.text_label}”"
    if event.attachment:
        yield "file"
    if event.kind is not None:
        yield event.kind.value
    if event.on_expiry:
        yield "time is up"


def _ends(flow: type[Flow], state: State) -> list[State]:
    """Return the states to which the expiry leads if no ``on_expiry`` event of the state says it.

    Empty if the state does not expire, or if it has such an event.
    """
    if not state.expires or any(e.on_expiry and state in e.sources for e in flow.events.values()):
        return []
    return [flow.idle_state] if state.is_durable else fallbacks(flow, state)


def _fate(flow: type[Flow], state: State) -> str:
    """What a restart does to a conversation in ``state``, in words."""
    if state.initial:
        return "changes nothing"
    if state.tier is Tier.DURABLE:
        carried = f", with its `{state.record.__name__}`" if state.record else ""
        deadline = " and its deadline" if state.expires else ""
        return f"brings it back{carried}{deadline}"
    targets = " or ".join(f"`{target.name}`" for target in fallbacks(flow, state))
    carried = f"; its `{state.memory.__name__}` is forgotten" if state.memory else ""
    return f"leaves it at {targets}{carried}"


def _seen(flow: type[Flow], state: State) -> str:
    """Return what the user sees of a restart in ``state``, as text derived from the flow."""
    if state.tier is not Tier.EPHEMERAL:
        return "nothing: it goes on"
    entries = [
        causes[0]
        for event in flow.events.values()
        if event.target is state and any(s.tier is not Tier.EPHEMERAL for s in event.sources)
        if (causes := list(causes_of(event)))
    ]
    again = " or ".join(f"`{cause}`" for cause in dict.fromkeys(entries))
    return (
        f"what was half done is gone; {again} begins it again"
        if again
        else ("what was half done is gone; what began it begins it again")
    )
