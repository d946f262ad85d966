"""The names that the author of an agent kind needs, exported from one module."""

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
