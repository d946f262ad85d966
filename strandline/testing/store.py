"""Reads the durable data of a bot under test."""

from pathlib import Path
from typing import Any, Protocol

from attrs import frozen

from durable.inspector import StoreInspector
from fsm import Flow, Snapshot
from fsm.values.ids import RoomId, UserId


class Whose(Protocol):
    """The user and the room that identify a conversation."""

    @property
    def user_id(self) -> UserId:
        """The user's id."""

    @property
    def room(self) -> RoomId:
        """The room in which the user talks to the bot."""


@frozen
class BotStore:
    """The durable data of a bot: what a restart would find. Each call reads the latest commit."""

    path: Path

    def state(self, flow: type[Flow] | Flow, whose: Whose) -> str:
        """The saved durable state of the conversation, or the name of the idle state."""
        return self._standing(flow, whose).state

    def record(self, flow: type[Flow] | Flow, whose: Whose) -> Any:
        """The saved record of the conversation, or None."""
        return self._standing(flow, whose).data

    def get(self, key: str) -> Any:
        """The saved JSON value under ``key``, or None."""
        return StoreInspector(self.path).get(key)

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows that a SQL query finds in ``lambda_matrix.db``."""
        return StoreInspector(self.path).rows(statement, *values)

    def _standing(self, flow: type[Flow] | Flow, whose: Whose) -> Snapshot:
        made = flow() if isinstance(flow, type) else flow
        return StoreInspector(self.path).stored_snapshot(made, made.key(whose.room, whose.user_id))
