"""The bot's records in a dict, for tests that step a flow by hand."""

from copy import deepcopy
from typing import TypeVar

from attrs import define, field

from fsm.records import NoRecords, ReadKeys, Records, one_number_a_turn, refuse_engines
from fsm.values.ids import PlatformChatId, UserId

R = TypeVar("R")


@define
class RecordsInMemory:
    """The records of one turn in a dict, for testing a flow without a store."""

    records: dict[str, object] = field(factory=dict)
    issued: int = 0
    _read: ReadKeys = field(factory=ReadKeys, init=False, eq=False, repr=False)
    _has_issued: bool = field(default=False, init=False, eq=False, repr=False)

    async def read(self, cls: type[R], key: str) -> R | None:
        """The record under ``key``, or None."""
        self._read.add(key)
        return self.find(cls, key)

    def find(self, cls: type[R], key: str) -> R | None:
        """The same for a record that was read or saved before.

        Raises:
            TurnError: It was not.
        """
        self._read.require(cls, key)
        record = self.records.get(key)
        return record if isinstance(record, cls) else None

    def save(self, key: str, record: object) -> None:
        """Put ``record`` under ``key``; None deletes.

        Raises:
            TurnError: The key is the engine's.
        """
        refuse_engines(key)
        self._read.add(key)
        if record is None:
            self.records.pop(key, None)
        else:
            self.records[key] = record

    async def all(self, cls: type[R], prefix: str, *, owner: UserId | None = None) -> dict[str, R]:
        """The records whose keys begin with ``prefix``, by the rest of their keys."""
        found = {
            key: record
            for key, record in self.records.items()
            if key.startswith(prefix) and isinstance(record, cls)
            if owner is None or getattr(record, "matrix_user_id", None) == owner
        }
        if owner is None:
            self._read.add_prefix(prefix)
        for key in found:
            self._read.add(key)
        return {key.removeprefix(prefix): record for key, record in found.items()}

    async def next_platform_chat_id(self) -> PlatformChatId:
        """The next number.

        Raises:
            TurnError: This turn has issued one already.
        """
        if self._has_issued:
            raise one_number_a_turn()
        self._has_issued = True
        self.issued += 1
        return PlatformChatId(str(self.issued))

    def of_flow(self, name: str) -> Records:
        return NoRecords().of_flow(name)

    def copy(self) -> "RecordsInMemory":
        """The same records for another turn, which has read none yet.

        What that turn saves is not saved here.
        """
        return RecordsInMemory(deepcopy(self.records), self.issued)
