"""The names for authors of agent kinds."""

from ephemeral.agents.api import (
    AgentApi,
    AgentFailed,
    AgentFile,
    AgentPiece,
    AgentQuestion,
    Earlier,
    FailureReason,
    MadeFile,
)
from fsm.values.registry import AgentEntry

__all__ = [
    "AgentApi",
    "AgentEntry",
    "AgentFailed",
    "AgentFile",
    "AgentPiece",
    "AgentQuestion",
    "Earlier",
    "FailureReason",
    "MadeFile",
]
