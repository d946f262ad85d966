"""What most tests of the store begin with."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from durable.store import SqliteStore, Store
from fsm.outbox import SendRow
from fsm.values.ids import EventId, RoomId, TransactionId

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ROOM = RoomId("!room:example.org")
ASKED = EventId("$asked")


def noon() -> datetime:
    return NOON


async def open_store(path: Path) -> Store:
    return await SqliteStore.open(path, now=noon)


def row(name: str, *, room_id: RoomId = ROOM, stream_of: EventId | None = None) -> SendRow:
    return SendRow(
        transaction_id=TransactionId(name),
        room_id=room_id,
        event_type="m.room.message",
        content={"body": f"Привет, {name}"},
        stream_of=stream_of,
    )


@contextmanager
def plain(path: Path) -> Iterator[sqlite3.Connection]:
    """The file as anybody's sqlite3 sees it."""
    with closing(sqlite3.connect(path)) as db, db:
        yield db


def mode(path: Path) -> int:
    """Who may do what with the file."""
    return path.stat().st_mode & 0o777


def contents(path: Path) -> list[str]:
    """The whole database as text."""
    with plain(path) as db:
        return list(db.iterdump())
