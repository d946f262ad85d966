"""The language of flows: states with tiers, events, turns, effects. Pure; knows no user of it."""

from fsm.diagrams import mermaid as _mermaid  # noqa: F401  # makes f"{Flow:mermaid}" work
from fsm.errors import FlowError, NoSuchEvent, NoSuchTransition, StrandlineError, TurnError
from fsm.events import (
    ANY,
    STAY,
    Answer,
    Command,
    Event,
    Expiry,
    Occurrence,
    Reaction,
    Text,
    on,
)
from fsm.flow import Flow, Move, Saved, Snapshot, upgrade
from fsm.records import RecordsInMemory
from fsm.states import Scope, State, Tier, days, durable, ephemeral, hours, minutes, seconds
from fsm.turn import Turn
from fsm.values.inbound import Inbound, Kind
from fsm.values.messages import Attachment, Mark, Question, Signal
from fsm.values.registry import AgentEntry, Registry
from fsm.values.text import as_typed
from fsm.values.translation import Tongue

__all__ = [
    "ANY",
    "STAY",
    "AgentEntry",
    "Answer",
    "Attachment",
    "Command",
    "Event",
    "Expiry",
    "Flow",
    "FlowError",
    "Inbound",
    "Kind",
    "Mark",
    "Move",
    "NoSuchEvent",
    "NoSuchTransition",
    "Occurrence",
    "Question",
    "Reaction",
    "RecordsInMemory",
    "Registry",
    "Saved",
    "Scope",
    "Signal",
    "Snapshot",
    "State",
    "StrandlineError",
    "Text",
    "Tier",
    "Tongue",
    "Turn",
    "TurnError",
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
