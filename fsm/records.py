"""The durable records that a turn reads and writes: those of one flow, and those of the bot."""

from typing import Never, Protocol, TypeVar

from attrs import define, field

from fsm.errors import TurnError
from fsm.values.ids import PlatformChatId, UserId

R = TypeVar("R")

PLATFORM_CHAT_SEQ_KEY = "platform_chat_seq"
"""The key of the last issued platform chat number."""

FLOW_PREFIX = "flow:"
"""The prefix of the keys of flows' states."""


RECORD_PREFIX = "record:"
"""The prefix of the keys of flows' own records."""


class Records(Protocol):
    """The durable records of one flow, each under a key of its choice.

    They are stored under ``record:FLOW:KEY``. A flow reads and writes no others.
    """

    async def read(self, cls: type[R], key: str) -> R | None:
        """Read the record under ``key``, with this turn's own changes; None if there is none.

        Raises:
            TurnError: The stored record is not a ``cls``. It is not changed.
        """

    def find(self, cls: type[R], key: str) -> R | None:
        """Like ``read``, but never waits: for a key that this turn has read or saved. For guards.

        Raises:
            TurnError: This turn has read neither the key nor a prefix of it, or the record is not a
                ``cls``.
        """

    def save(self, key: str, record: object) -> None:
        """Save ``record`` with the commit; None deletes the stored record.

        Raises:
            TurnError: It can't be stored and read back without loss.
        """

    async def all(self, cls: type[R], prefix: str = "") -> dict[str, R]:
        """All records whose keys begin with ``prefix``, by the rest of their keys.

        Raises:
            TurnError: One of them is not a ``cls``. None is changed.
        """

    async def next_platform_chat_id(self) -> PlatformChatId:
        """Issue the next platform chat id. It is stored with the turn's commit.

        Raises:
            TurnError: This turn has already issued one.
        """


class BotRecords(Protocol):
    """The durable records of the bot itself, for built-in flows. Keys get no prefix."""

    async def read(self, cls: type[R], key: str) -> R | None:
        """Return the record under ``key``, with the uncommitted changes of this turn.

        A record that can't be decoded is moved to the table ``quarantine``: None is returned.
        """

    def find(self, cls: type[R], key: str) -> R | None:
        """Like ``read``, but never waits: for a key that this turn has read or saved. For guards.

        Raises:
            TurnError: This turn has read neither the key nor a prefix of it.
        """

    def save(self, key: str, record: object) -> None:
        """Save ``record`` with the commit; None deletes the stored record.

        Raises:
            TurnError: The key is reserved for the engine: ``platform_chat_seq``, or it begins with
                ``flow:``.
        """

    async def all(self, cls: type[R], prefix: str, *, owner: UserId | None = None) -> dict[str, R]:
        """All records whose keys begin with ``prefix``, by the rest of their keys.

        With an ``owner``, only records with this ``matrix_user_id``: room records have that field.
        """

    async def next_platform_chat_id(self) -> PlatformChatId:
        """Issue the next platform chat id. It is stored with the turn's commit.

        Raises:
            TurnError: This turn has already issued one.
        """

    def of_flow(self, name: str) -> Records:
        """The records of the flow with this name."""


class NoRecords:
    """The records of a turn that was made without an engine: every use raises."""

    async def read(self, cls: type[R], key: str) -> R | None:
        """Raise."""
        self._refuse(cls, key)

    def find(self, cls: type[R], key: str) -> R | None:
        """Raise."""
        self._refuse(cls, key)

    def save(self, key: str, record: object) -> None:
        """Raise."""
        self._refuse(record, key)

    async def all(self, cls: type[R], prefix: str, *, owner: UserId | None = None) -> dict[str, R]:
        """Raise."""
        self._refuse(cls, prefix, owner)

    async def next_platform_chat_id(self) -> PlatformChatId:
        """Raise."""
        self._refuse()

    def of_flow(self, name: str) -> Records:
        """Raise."""
        self._refuse(name)

    def _refuse(self, *_: object) -> Never:
        raise TurnError("this turn has no records", "drive the flow with a Rehearsal")


@define
class ReadKeys:
    """The keys that a turn has read or saved."""

    _keys: set[str] = field(factory=set, init=False)
    _prefixes: set[str] = field(factory=set, init=False)

    def add(self, key: str) -> None:
        """Note that the key was read or saved."""
        self._keys.add(key)

    def add_prefix(self, prefix: str) -> None:
        """Note that all keys with this prefix were read."""
        self._prefixes.add(prefix)

    def require(self, cls: type[object], key: str, *, prefix: str = "") -> None:
        """Raise unless the key was read or saved.

        Args:
            cls: The record class that is wanted.
            key: The full key.
            prefix: The start of the key that the error message leaves out.

        Raises:
            TurnError: The turn has neither read nor saved the key.
        """
        if key not in self._keys and not key.startswith(tuple(self._prefixes)):
            named = key.removeprefix(prefix)
            problem = f"the record under {named!r} was not read in this turn"
            read = f"await turn.records.read({cls.__name__}, {named!r})"
            raise TurnError(problem, f"{read} in a handler of this turn first")


def refuse_engines(key: str) -> None:
    """Raise if only the engine may write the key.

    Raises:
        TurnError: Only the engine writes this key.
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
    """The error when a turn requests a second platform chat id."""
    return TurnError("this turn has a platform chat id already", "bind one room a turn")
