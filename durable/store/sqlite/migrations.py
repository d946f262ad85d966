"""Migrations: updates the schema of a database by the numbered SQL files in ``schema``.

Each file is run in one transaction, which also stores the file's number as the schema version.
"""

import sqlite3
from collections.abc import Iterator
from importlib.resources import files

from fsm.failpoints import reach

_SCRIPTS = {
    int(script.name[:4]): script
    for script in (files("durable.store.sqlite") / "schema").iterdir()
    if script.name.endswith(".sql")
}

CURRENT = max(_SCRIPTS)
"""The schema version that this code writes."""


def migrate(db: sqlite3.Connection, application_id: int) -> None:
    """Run the migrations that the database does not have yet, in order, each in a transaction.

    Args:
        db: The writing connection.
        application_id: The application id that is stored in the database.
    """
    while _next(db) <= CURRENT:
        reach("migration.before")
        db.execute("BEGIN IMMEDIATE")
        try:
            _step(db, application_id)
            reach("migration.written")
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        reach("migration.after")


def _next(db: sqlite3.Connection) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return int(version) + 1


def _step(db: sqlite3.Connection, application_id: int) -> None:
    number = _next(db)  # asked again: another process may have migrated before we had the lock
    if number > CURRENT:
        return
    for statement in statements(_SCRIPTS[number].read_text("utf-8")):
        db.execute(statement)
    # a pragma takes no bound parameters; both are integers of ours
    db.execute(f"PRAGMA application_id = {application_id:d}")
    db.execute(f"PRAGMA user_version = {number:d}")


def statements(script: str) -> Iterator[str]:
    """Yield the statements of an SQL script, one at a time.

    ``executescript`` can't be used: it commits the open transaction before it runs.
    """
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
