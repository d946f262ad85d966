"""The language of flows: states with tiers, events, turns, effects. Pure; knows no user of it."""

from fsm.agents import AgentEntry, Registry
from fsm.attachments import Attachment
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
from fsm.inbound import Inbound, Kind
from fsm.language import Tongue
from fsm.markdown import as_typed
from fsm.pictures import mermaid as _mermaid  # noqa: F401  # makes f"{Flow:mermaid}" work
from fsm.questions import Mark, Question
from fsm.records import RecordsInMemory
from fsm.signals import Signal
from fsm.states import Scope, State, Tier, days, durable, ephemeral, hours, minutes, seconds
from fsm.turn import Turn

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
