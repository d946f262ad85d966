"""Everything that survives kill -9."""

from durable.commits import (
    Asked,
    Behind,
    Commit,
    Handled,
    Parked,
    Progress,
    Reopened,
    Stored,
    Stream,
)
from durable.errors import AlreadyHandled, Conflict, StoreError, StoreUnavailable
from durable.first_start import FirstStart
from durable.loader import RestartReport, load
from durable.lock import DataLock
from durable.sequence import Allocation, PlatformChatSequence
from durable.store import Store
from durable.volume import volume_warning

__all__ = [
    "Allocation",
    "AlreadyHandled",
    "Asked",
    "Behind",
    "Commit",
    "Conflict",
    "DataLock",
    "FirstStart",
    "Handled",
    "Parked",
    "PlatformChatSequence",
    "Progress",
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
