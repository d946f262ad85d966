"""The durable records of a turn: what every kind of them does, and those in memory."""

from copy import deepcopy
from typing import Protocol, TypeVar

from attrs import define, field

from fsm.ids import PlatformChatId, UserId

R = TypeVar("R")


class Records(Protocol):
    """The durable records that a turn reads and writes, each under its key."""

    async def read(self, cls: type[R], key: str) -> R | None:
        """The record under ``key`` as this turn has it, or None."""

    def find(self, cls: type[R], key: str) -> R | None:
        """The same for a record that was read before; never waits."""

    def save(self, key: str, record: object) -> None:
        """Have ``record`` written by the commit; None deletes."""

    async def all(self, cls: type[R], prefix: str, *, owner: UserId | None = None) -> dict[str, R]:
        """The records whose keys begin with ``prefix``, by the rest of their keys.

        Given an ``owner``, only those with this ``matrix_user_id``: rooms are kept by it.
        """

    async def next_platform_chat_id(self) -> PlatformChatId:
        """Issue a number in the commit's own transaction."""


@define
class RecordsInMemory:
    """Records in a dict, for testing a flow without a store."""

    records: dict[str, object] = field(factory=dict)
    issued: int = 0

    async def read(self, cls: type[R], key: str) -> R | None:
        """The record under ``key``, or None."""
        return self.find(cls, key)

    def find(self, cls: type[R], key: str) -> R | None:
        """The record under ``key``, or None."""
        record = self.records.get(key)
        return record if isinstance(record, cls) else None

    def save(self, key: str, record: object) -> None:
        """Put ``record`` under ``key``; None deletes."""
        if record is None:
            self.records.pop(key, None)
        else:
            self.records[key] = record

    async def all(self, cls: type[R], prefix: str, *, owner: UserId | None = None) -> dict[str, R]:
        """The records whose keys begin with ``prefix``, by the rest of their keys."""
        return {
            key.removeprefix(prefix): record
            for key, record in self.records.items()
            if key.startswith(prefix) and isinstance(record, cls)
            if owner is None or getattr(record, "matrix_user_id", None) == owner
        }

    async def next_platform_chat_id(self) -> PlatformChatId:
        """The next number."""
        self.issued += 1
        return PlatformChatId(str(self.issued))

    def copy(self) -> "RecordsInMemory":
        """The same records for another turn. What that turn saves is not saved here."""
        return RecordsInMemory(deepcopy(self.records), self.issued)
