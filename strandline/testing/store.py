"""What a bot keeps, as a test looks at it."""

from pathlib import Path
from typing import Any, Protocol

from attrs import frozen

from durable.inspector import StoreInspector
from fsm import Flow, Snapshot
from fsm.values.ids import RoomId, UserId


class Whose(Protocol):
    """Whose conversation is meant: a person in their room with the bot."""

    @property
    def user_id(self) -> UserId:
        """The person."""

    @property
    def room(self) -> RoomId:
        """The room in which they talk to the bot."""


@frozen
class BotStore:
    """What a restart would find. Each look reads what is committed just now."""

    path: Path

    def state(self, flow: type[Flow] | Flow, whose: Whose) -> str:
        """The durable state in which the conversation is kept, or the name of the idle one."""
        return self._standing(flow, whose).state

    def record(self, flow: type[Flow] | Flow, whose: Whose) -> Any:
        """The record that is kept of the conversation, or None."""
        return self._standing(flow, whose).data

    def get(self, key: str) -> Any:
        """The JSON value that is kept under ``key``, or None."""
        return StoreInspector(self.path).get(key)

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows that a SQL query finds in ``lambda_matrix.db``."""
        return StoreInspector(self.path).rows(statement, *values)

    def _standing(self, flow: type[Flow] | Flow, whose: Whose) -> Snapshot:
        made = flow() if isinstance(flow, type) else flow
        return StoreInspector(self.path).stored_snapshot(made, made.key(whose.room, whose.user_id))
