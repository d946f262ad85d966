"""The language of flows: states with tiers, events, turns, effects. Pure; knows no user of it."""

from fsm.agents import AgentEntry, Registry
from fsm.errors import FlowError, NoSuchTransition, StrandlineError, TurnError
from fsm.events import ANY, STAY, Command, Event, Occurrence, Signal, Text, on
from fsm.flow import Flow, Move, Snapshot
from fsm.inbound import Inbound, Kind
from fsm.states import Scope, State, Tier, durable, ephemeral, minutes, seconds
from fsm.turn import RecordsInMemory, Turn

__all__ = [
    "ANY",
    "STAY",
    "AgentEntry",
    "Command",
    "Event",
    "Flow",
    "FlowError",
    "Inbound",
    "Kind",
    "Move",
    "NoSuchTransition",
    "Occurrence",
    "RecordsInMemory",
    "Registry",
    "Scope",
    "Signal",
    "Snapshot",
    "State",
    "StrandlineError",
    "Text",
    "Tier",
    "Turn",
    "TurnError",
    "durable",
    "ephemeral",
    "minutes",
    "on",
    "seconds",
]
