"""A flow as JSON, for programs that draw their own diagrams."""

import json
from typing import Any

from fsm.diagrams.drawing import fallbacks, losses
from fsm.events import Event, Target
from fsm.flow import Flow
from fsm.states import State


def description(flow: type[Flow]) -> dict[str, Any]:
    """The flow as a JSON object: ``name``, ``scope``, ``version``, ``states``, ``events``."""
    seen = {loss.state: loss for loss in losses(flow)}
    return {
        "name": flow.name,
        "class": f"{flow.__module__}:{flow.__qualname__}",
        "about": (flow.__doc__ or "").strip().partition("\n")[0],
        "scope": flow.scope.value,
        "version": flow.version,
        "states": [
            _state(flow, state) | {"restart": seen[state].restart, "seen": seen[state].seen}
            for state in flow.states.values()
        ],
        "events": [_event(event) for event in flow.events.values()],
    }


def as_json(flow: type[Flow]) -> str:
    """The flow as JSON text. Ends with a newline."""
    return json.dumps(description(flow), indent=2, ensure_ascii=False) + "\n"


def _state(flow: type[Flow], state: State) -> dict[str, Any]:
    return {
        "name": state.name,
        "tier": state.tier.value if state.tier else "idle",
        "record": state.record.__name__ if state.record else None,
        "memory": state.memory.__name__ if state.memory else None,
        "expires_seconds": state.expires.total_seconds() if state.expires else None,
        "falls_back_to": [target.name for target in fallbacks(flow, state)],
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "name": event.name,
        "sources": [source.name for source in event.sources],
        "target": None if isinstance(event.target, Target) else event.target.name,
        "goes_back": event.target is Target.BACK,
        "command": list(event.command),
        "text": event.text_label or event.text,
        "reaction": list(event.reaction),
        "reply": list(event.reply),
        "attachment": event.attachment,
        "on": event.kind.value if event.kind else None,
        "on_expiry": event.on_expiry,
        "signal": event.signal.__name__ if event.signal else None,
        "guard": getattr(event.condition, "__name__", None),
    }
