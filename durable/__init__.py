"""Everything that survives kill -9."""

from durable.restart_report import RestartReport, load
from durable.store.errors import AlreadyHandled, Conflict, StoreError, StoreUnavailable
from durable.store.lock import DataLock, FirstStart
from durable.store.sequence import Allocation, PlatformChatSequence
from durable.store.sqlite.store import Store
from durable.store.transaction import (
    Behind,
    Commit,
    Handled,
    Parked,
    Progress,
    QuestionFiles,
    Reopened,
    Stored,
    Stream,
)
from durable.store.volume import volume_warning

__all__ = [
    "Allocation",
    "AlreadyHandled",
    "Behind",
    "Commit",
    "Conflict",
    "DataLock",
    "FirstStart",
    "Handled",
    "Parked",
    "PlatformChatSequence",
    "Progress",
    "QuestionFiles",
    "Reopened",
    "RestartReport",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "Stored",
    "Stream",
    "load",
    "volume_warning",
]
