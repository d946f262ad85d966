"""The store: everything that survives SIGKILL and power loss.

``Store`` is the interface. Each implementation has a subpackage of its own; ``sqlite`` is the only
one.
"""

from durable.store.codec import from_json, to_json, why_not_storable
from durable.store.contract import CheckpointStore, OutboxStore, ParkingStore, Store
from durable.store.errors import (
    AlreadyHandled,
    Conflict,
    CorruptValue,
    DatabaseMoved,
    DataFolderInUse,
    FolderNotWritable,
    NewerSchema,
    NotOurDatabase,
    StoreClosed,
    StoreDamaged,
    StoreDefect,
    StoreError,
    StoreUnavailable,
)
from durable.store.lock import DataLock, FirstStart
from durable.store.sequence import Allocation, PlatformChatSequence
from durable.store.sqlite.store import SqliteStore
from durable.store.values import (
    INVITE_ID_PREFIX,
    Behind,
    Commit,
    Handled,
    Parked,
    Progress,
    QuestionFiles,
    Reopened,
    Stored,
    UnfinishedAnswer,
)
from durable.store.volume import volume_warning

__all__ = [
    "INVITE_ID_PREFIX",
    "Allocation",
    "AlreadyHandled",
    "Behind",
    "CheckpointStore",
    "Commit",
    "Conflict",
    "CorruptValue",
    "DataFolderInUse",
    "DataLock",
    "DatabaseMoved",
    "FirstStart",
    "FolderNotWritable",
    "Handled",
    "NewerSchema",
    "NotOurDatabase",
    "OutboxStore",
    "Parked",
    "ParkingStore",
    "PlatformChatSequence",
    "Progress",
    "QuestionFiles",
    "Reopened",
    "SqliteStore",
    "Store",
    "StoreClosed",
    "StoreDamaged",
    "StoreDefect",
    "StoreError",
    "StoreUnavailable",
    "Stored",
    "UnfinishedAnswer",
    "from_json",
    "to_json",
    "volume_warning",
    "why_not_storable",
]
