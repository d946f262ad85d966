"""The statements that a store runs, and how SQLite carries them out."""

import sqlite3
from pathlib import Path
from typing import Any

from attrs import define, field

from tests.support.store.opening import plain


@define
class Statements:
    """Makes connections of which each statement is recorded, with what was bound to it."""

    run: list[tuple[str, Any]] = field(factory=list)

    def connect(self, path: Path, **options: Any) -> sqlite3.Connection:
        run = self.run

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
                run.append((sql, parameters))
                return super().execute(sql, parameters)

        return sqlite3.connect(path, factory=Connection, **options)

    def plans(self, path: Path, *views: str) -> dict[str, list[str]]:
        """How SQLite reads ``kv`` for each recorded statement that reads one of the views."""
        with plain(path) as db:
            return {
                sql: [
                    detail
                    for *_, detail in db.execute(f"EXPLAIN QUERY PLAN {sql}", bound).fetchall()
                    if "kv" in detail
                ]
                for sql, bound in self.run
                if any(f"FROM {view} " in sql for view in views)
            }
