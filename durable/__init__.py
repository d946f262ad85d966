"""Everything that survives kill -9."""

from durable.commits import Commit, Handled, Parked, Reopened, Stored, Stream
from durable.errors import AlreadyHandled, Conflict, StoreError, StoreUnavailable
from durable.sequence import Allocation, PlatformChatSequence
from durable.store import Store

__all__ = [
    "Allocation",
    "AlreadyHandled",
    "Commit",
    "Conflict",
    "Handled",
    "Parked",
    "PlatformChatSequence",
    "Reopened",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "Stored",
    "Stream",
]
