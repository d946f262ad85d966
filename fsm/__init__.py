"""The flow language: states with tiers, events, turns, effects. It does no I/O."""

from fsm.diagrams import mermaid as _mermaid  # noqa: F401  # makes f"{Flow:mermaid}" work
from fsm.errors import FlowError, NoSuchTransition, StrandlineError, TurnError, UnansweredSignal
from fsm.events import (
    ANY,
    BACK,
    STAY,
    Answer,
    Command,
    Event,
    Expiry,
    Reaction,
    RoomEvent,
    Text,
    on,
)
from fsm.flow import Flow, Saved, Snapshot, Transition, upgrade
from fsm.states import Scope, State, Tier, days, durable, ephemeral, hours, minutes, seconds
from fsm.turn import Turn
from fsm.values.inbound import EventKind, Inbound
from fsm.values.messages import Attachment, Question, QuestionRef, Reset, Triggered
from fsm.values.registry import AgentEntry, Registry
from fsm.values.text import as_typed
from fsm.values.translation import Translator

__all__ = [
    "ANY",
    "BACK",
    "STAY",
    "AgentEntry",
    "Answer",
    "Attachment",
    "Command",
    "Event",
    "EventKind",
    "Expiry",
    "Flow",
    "FlowError",
    "Inbound",
    "NoSuchTransition",
    "Question",
    "QuestionRef",
    "Reaction",
    "Registry",
    "Reset",
    "RoomEvent",
    "Saved",
    "Scope",
    "Snapshot",
    "State",
    "StrandlineError",
    "Text",
    "Tier",
    "Transition",
    "Translator",
    "Triggered",
    "Turn",
    "TurnError",
    "UnansweredSignal",
    "as_typed",
    "days",
    "durable",
    "ephemeral",
    "hours",
    "minutes",
    "on",
    "seconds",
    "upgrade",
]
