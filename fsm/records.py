"""The durable records of a turn: what every kind of them does, and those in memory."""

from copy import deepcopy
from typing import Protocol, TypeVar

from attrs import define, field

from fsm.errors import TurnError
from fsm.values.ids import PlatformChatId, UserId

R = TypeVar("R")

PLATFORM_CHAT_SEQ_KEY = "platform_chat_seq"
"""Where the last issued platform chat number is kept."""

FLOW_PREFIX = "flow:"
"""What the keys begin with under which the states of flows are kept."""


class Records(Protocol):
    """The durable records that a turn reads and writes, each under its key."""

    async def read(self, cls: type[R], key: str) -> R | None:
        """The record under ``key`` as this turn has it, or None."""

    def find(self, cls: type[R], key: str) -> R | None:
        """The same for a record that this turn has read or saved; never waits. For guards.

        Raises:
            TurnError: This turn has not read the key: neither by itself nor with all that begin
                with a prefix.
        """

    def save(self, key: str, record: object) -> None:
        """Have ``record`` written by the commit; None deletes.

        Raises:
            TurnError: The key is the engine's: ``platform_chat_seq``, or it begins with ``flow:``.
        """

    async def all(self, cls: type[R], prefix: str, *, owner: UserId | None = None) -> dict[str, R]:
        """The records whose keys begin with ``prefix``, by the rest of their keys.

        Given an ``owner``, only those with this ``matrix_user_id``: rooms are kept by it.
        """

    async def next_platform_chat_id(self) -> PlatformChatId:
        """Issue a number in the commit's own transaction.

        Raises:
            TurnError: This turn has issued one already.
        """


@define
class ReadKeys:
    """Which keys a turn has read or saved."""

    _keys: set[str] = field(factory=set, init=False)
    _prefixes: set[str] = field(factory=set, init=False)

    def add(self, key: str) -> None:
        """The key was read or saved."""
        self._keys.add(key)

    def add_prefix(self, prefix: str) -> None:
        """All keys that begin with ``prefix`` were read."""
        self._prefixes.add(prefix)

    def require(self, cls: type[object], key: str) -> None:
        """Do nothing if the key was read or saved.

        Raises:
            TurnError: It was not.
        """
        if key not in self._keys and not key.startswith(tuple(self._prefixes)):
            problem = f"the record under {key!r} was not read in this turn"
            read = f"await turn.records.read({cls.__name__}, {key!r})"
            raise TurnError(problem, f"{read} in a handler of this turn first")


def refuse_engines(key: str) -> None:
    """Do nothing if flows may save under the key.

    Raises:
        TurnError: What is there, only the engine writes.
    """
    if key == PLATFORM_CHAT_SEQ_KEY:
        remedy = "await turn.records.next_platform_chat_id() to be issued a number"
    elif key.startswith(FLOW_PREFIX):
        remedy = "have the flow itself change its state: turn.signal(flow, event)"
    else:
        return
    problem = f"{key!r} is the engine's to keep"
    raise TurnError(problem, remedy)


def one_number_a_turn() -> TurnError:
    """What is raised when a turn asks for a second platform chat id."""
    return TurnError("this turn has a platform chat id already", "bind one room a turn")


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

    def copy(self) -> "RecordsInMemory":
        """The same records for another turn, which has read none yet.

        What that turn saves is not saved here.
        """
        return RecordsInMemory(deepcopy(self.records), self.issued)
