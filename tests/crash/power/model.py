"""What ought to be on disk: said beside the product, without its SQL."""

import json
import sqlite3
from collections.abc import Collection, Mapping
from copy import deepcopy
from typing import Any

from attrs import define, field

from durable.store import Commit
from durable.store.outbox_rows import kind_and_payload
from fsm.outbox import OutboxRow
from fsm.values.ids import EventId, SyncToken


@define
class Model:
    kv: dict[str, str] = field(factory=dict)
    meta: dict[str, str] = field(factory=dict)
    outbox: dict[str, tuple[str, Mapping[str, Any]]] = field(factory=dict)
    handled: dict[str, bool] = field(factory=dict)
    """Each event, and whether the checkpoint is past it."""
    heads: dict[str, str | None] = field(factory=dict)

    def copy(self) -> "Model":
        return deepcopy(self)

    def commit(self, commit: Commit) -> None:
        for key, text in commit.writes.items():
            if text is None:
                self.kv.pop(key, None)
            else:
                self.kv[key] = text
            if key == "platform_chat_seq" and text is not None:
                self.meta["issued"] = text
        for row in commit.outbox:
            self.outbox[row.transaction_id] = (row.room_id, json.loads(kind_and_payload(row)[1]))
        if commit.handled is not None:
            self.handled[commit.handled.event_id] = False
        if commit.stream_begins is not None:
            self.heads[commit.stream_begins.event_id] = None
        if commit.stream_ends is not None:
            self.heads.pop(commit.stream_ends)

    def delivered(self, row: OutboxRow, event_id: EventId) -> None:
        del self.outbox[row.transaction_id]
        if row.stream_of in self.heads:
            self.heads[row.stream_of] = event_id

    def advance(self, token: SyncToken, passed: Collection[EventId]) -> None:
        self.meta["checkpoint"] = token
        self.handled.update(dict.fromkeys(passed, True))


def on_disk(db: sqlite3.Connection) -> Model:
    outbox = db.execute(
        "SELECT transaction_id, room_id, payload FROM outbox"
        " WHERE parked_error IS NULL ORDER BY position"
    )
    return Model(
        kv=dict(db.execute("SELECT key, value FROM kv")),
        meta=dict(db.execute("SELECT name, value FROM meta")),
        outbox={name: (room, json.loads(payload)) for name, room, payload in outbox},
        handled={e: bool(b) for e, b in db.execute("SELECT event_id, is_below FROM handled")},
        heads=dict(db.execute("SELECT event_id, head_event_id FROM stream")),
    )
