"""Reads the committed data of a bot under test from its database."""

from pathlib import Path
from typing import Any, Protocol

from attrs import frozen

from durable.inspector import StoreInspector
from fsm import Flow, Snapshot
from fsm.values.ids import RoomId, UserId


class Whose(Protocol):
    """Identifies a conversation of a flow by its user and room. A ``User`` fits."""

    @property
    def user_id(self) -> UserId:
        """The user's id."""

    @property
    def room(self) -> RoomId:
        """The room in which the user talks to the bot."""


@frozen
class BotStore:
    """Reads the durable data of a bot: what a restart would find.

    Each call reads the latest commit.

    Args:
        path: The path of the database file.
    """

    path: Path

    def state(self, flow: type[Flow] | Flow, whose: Whose) -> str:
        """The name of the conversation's saved durable state; if none is saved, the idle state."""
        return self._standing(flow, whose).state

    def record(self, flow: type[Flow] | Flow, whose: Whose) -> Any:
        """The conversation's saved record; None if none is saved."""
        return self._standing(flow, whose).data

    def get(self, key: str) -> Any:
        """The JSON value that is saved under ``key``; None if there is none."""
        return StoreInspector(self.path).get(key)

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows that a SQL query finds in the database.

        Args:
            statement: The query.
            values: The values for the query's placeholders ``?``.
        """
        return StoreInspector(self.path).rows(statement, *values)

    def _standing(self, flow: type[Flow] | Flow, whose: Whose) -> Snapshot:
        made = flow() if isinstance(flow, type) else flow
        return StoreInspector(self.path).stored_snapshot(made, made.key(whose.room, whose.user_id))
