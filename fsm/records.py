"""The durable records that a turn reads and writes: those of one flow, and those of the bot."""

from typing import Never, Protocol, TypeVar

from attrs import define, field

from fsm.errors import TurnError
from fsm.values.ids import PlatformChatId, UserId

R = TypeVar("R")

PLATFORM_CHAT_SEQ_KEY = "platform_chat_seq"
"""The key of the last issued platform chat number."""

FLOW_PREFIX = "flow:"
"""The prefix of the keys under which the states of flows' conversations are stored."""


RECORD_PREFIX = "record:"
"""The prefix of the keys of flows' own records."""


class Records(Protocol):
    """Reads and writes the durable records of one flow. The flow chooses the keys.

    The database has the record of a key under ``record:FLOW:KEY``. A flow can't reach the records
    of another flow.
    """

    async def read(self, cls: type[R], key: str) -> R | None:
        """Return the record under ``key``, with this turn's own changes; None if there is none.

        Args:
            cls: The class of the record.
            key: The key under which the flow saved the record.

        Raises:
            TurnError: The stored record can't be read as a ``cls``. It stays as it is.
        """

    def find(self, cls: type[R], key: str) -> R | None:
        """Return what ``read`` would return, without ``await``, so that guards can call it.

        The turn must have read or saved the key before, or read all keys with a prefix of it.

        Raises:
            TurnError: This turn has neither read nor saved the key, or the record can't be read as
                a ``cls``.
        """

    def save(self, key: str, record: object) -> None:
        """Save ``record`` under ``key`` with the turn's commit; None deletes the stored record.

        Raises:
            TurnError: The record can't be stored and read back without loss.
        """

    async def all(self, cls: type[R], prefix: str = "") -> dict[str, R]:
        """Return the records whose keys begin with ``prefix``, by the rest of the key.

        This turn's own changes are included. The empty prefix returns all records of the flow.

        Raises:
            TurnError: One of the records can't be read as a ``cls``. All stay as they are.
        """

    async def next_platform_chat_id(self) -> PlatformChatId:
        """Return a new platform chat id. The turn's commit stores that it was issued.

        Raises:
            TurnError: This turn has already issued one.
        """


class BotRecords(Protocol):
    """Reads and writes the durable records of the bot itself, for built-in flows.

    The database has a record under the given key, without a prefix.
    """

    async def read(self, cls: type[R], key: str) -> R | None:
        """Return the record under ``key``, with this turn's own changes; None if there is none.

        A record that can't be decoded is moved to the table ``quarantine``, and None is returned.
        """

    def find(self, cls: type[R], key: str) -> R | None:
        """Return what ``read`` would return, without ``await``, so that guards can call it.

        The turn must have read or saved the key before, or read all keys with a prefix of it.

        Raises:
            TurnError: This turn has neither read nor saved the key.
        """

    def save(self, key: str, record: object) -> None:
        """Save ``record`` under ``key`` with the turn's commit; None deletes the stored record.

        Raises:
            TurnError: The key is reserved for the engine: ``platform_chat_seq``, or it begins with
                ``flow:``.
        """

    async def all(self, cls: type[R], prefix: str, *, owner: UserId | None = None) -> dict[str, R]:
        """Return the ``cls`` records whose keys begin with ``prefix``, by the rest of the key.

        This turn's own changes are included. Records that are not a ``cls`` are left out.

        Args:
            cls: The class of the records.
            prefix: The first part of the keys.
            owner: The user who must be the ``matrix_user_id`` of the returned records; only room
                records have this field. None: records of all users.
        """

    async def next_platform_chat_id(self) -> PlatformChatId:
        """Return a new platform chat id. The turn's commit stores that it was issued.

        Raises:
            TurnError: This turn has already issued one.
        """

    def of_flow(self, name: str) -> Records:
        """The records of the flow with this name."""


class NoRecords:
    """Stands for the records of a turn without an engine: every method raises ``TurnError``."""

    async def read(self, cls: type[R], key: str) -> R | None:
        """Raise ``TurnError``."""
        self._refuse(cls, key)

    def find(self, cls: type[R], key: str) -> R | None:
        """Raise ``TurnError``."""
        self._refuse(cls, key)

    def save(self, key: str, record: object) -> None:
        """Raise ``TurnError``."""
        self._refuse(record, key)

    async def all(self, cls: type[R], prefix: str, *, owner: UserId | None = None) -> dict[str, R]:
        """Raise ``TurnError``."""
        self._refuse(cls, prefix, owner)

    async def next_platform_chat_id(self) -> PlatformChatId:
        """Raise ``TurnError``."""
        self._refuse()

    def of_flow(self, name: str) -> Records:
        """Raise ``TurnError``."""
        self._refuse(name)

    def _refuse(self, *_: object) -> Never:
        raise TurnError("this turn has no records", "drive the flow with a Rehearsal")


@define
class ReadKeys:
    """Tracks which keys a turn has read or saved."""

    _keys: set[str] = field(factory=set, init=False)
    _prefixes: set[str] = field(factory=set, init=False)

    def add(self, key: str) -> None:
        """Note that the record under ``key`` was read or saved."""
        self._keys.add(key)

    def add_prefix(self, prefix: str) -> None:
        """Note that all keys with this prefix were read."""
        self._prefixes.add(prefix)

    def require(self, cls: type[object], key: str, *, prefix: str = "") -> None:
        """Raise an error unless the key was read or saved.

        Args:
            cls: The class of the record, named in the error message.
            key: The full key.
            prefix: The first part of the key, which the error message leaves out.

        Raises:
            TurnError: The turn has neither read nor saved the key.
        """
        if key not in self._keys and not key.startswith(tuple(self._prefixes)):
            named = key.removeprefix(prefix)
            problem = f"the record under {named!r} was not read in this turn"
            read = f"await turn.records.read({cls.__name__}, {named!r})"
            raise TurnError(problem, f"{read} in a handler of this turn first")


def refuse_engines(key: str) -> None:
    """Raise an error if only the engine, and no flow, may write ``key``.

    Raises:
        TurnError: Only the engine may write ``key``.
    """
    if key == PLATFORM_CHAT_SEQ_KEY:
        remedy = "await turn.records.next_platform_chat_id() to be issued a number"
    elif key.startswith(FLOW_PREFIX):
        remedy = "turn.trigger(…) a signal by which the flow itself changes its state"
    else:
        return
    problem = f"{key!r} is the engine's to keep"
    raise TurnError(problem, remedy)


def one_number_a_turn() -> TurnError:
    """The error when a turn requests a second platform chat id."""
    return TurnError("this turn has a platform chat id already", "bind one room a turn")
