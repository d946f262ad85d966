"""Reads a bot's database from another process, while the bot runs or after it was killed."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from attrs import frozen

from durable.records import FlowRecord, flow_key
from durable.store.codec import from_json, load
from durable.turn_records import snapshot_of
from fsm import Flow, Snapshot
from fsm.kept_record import KeptAsRecord
from fsm.values.ids import ConversationKey


@frozen
class StoreInspector:
    """Reads the committed content of a bot's database.

    It writes nothing, and opens the file for the time of each query only.

    Args:
        path: The absolute path of the database file.
    """

    path: Path

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a SQL query. ``values`` are bound to its parameters."""
        with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)) as db:
            return db.execute(statement, values).fetchall()

    def text(self, key: str) -> str | None:
        """Return the stored JSON text under ``key``; None if there is none."""
        found = self.rows("SELECT value FROM kv WHERE key = ?", key)
        return str(found[0][0]) if found else None

    def get(self, key: str) -> Any:
        """Return the decoded JSON value under ``key``; None if there is none."""
        text = self.text(key)
        return None if text is None else load(text)

    def stored_snapshot(self, flow: Flow, key: ConversationKey) -> Snapshot:
        """Return the state that the conversation would have after a restart now.

        That is the stored durable state, or idle if none is stored.

        Raises:
            Exception: The stored record can't be decoded, or the flow has no such durable state.
        """
        if isinstance(flow, KeptAsRecord):
            text = self.text(f"{flow.kept_as}:{key}")
            if text is None or flow.record_type is None:
                return flow.at_rest
            record: Any = from_json(flow.record_type, text)
            return Snapshot(flow.state_of(record).name, record)
        text = self.text(flow_key(flow.name, key))
        return flow.at_rest if text is None else snapshot_of(flow, from_json(FlowRecord, text))
