"""The durable records of a turn: those of one flow, and those of the bot itself."""

from typing import Never, Protocol, TypeVar

from attrs import define, field

from fsm.errors import TurnError
from fsm.values.ids import PlatformChatId, UserId

R = TypeVar("R")

PLATFORM_CHAT_SEQ_KEY = "platform_chat_seq"
"""Where the last issued platform chat number is kept."""

FLOW_PREFIX = "flow:"
"""What the keys begin with under which the states of flows are kept."""


RECORD_PREFIX = "record:"
"""What the keys begin with under which flows keep records of their own."""


class Records(Protocol):
    """The durable records of one flow, each under a key of its choice.

    They are stored under ``record:FLOW:KEY``. A flow reads and writes no others.
    """

    async def read(self, cls: type[R], key: str) -> R | None:
        """The record under ``key`` as this turn has it, or None.

        Raises:
            TurnError: What is under the key is no ``cls``. It stays there.
        """

    def find(self, cls: type[R], key: str) -> R | None:
        """The same for a record that this turn has read or saved; never waits. For guards.

        Raises:
            TurnError: This turn has not read the key: neither by itself nor with all that begin
                with a prefix. Or what is there is no ``cls``.
        """

    def save(self, key: str, record: object) -> None:
        """Have ``record`` written by the commit; None deletes.

        Raises:
            TurnError: It could not be read back as it is.
        """

    async def all(self, cls: type[R], prefix: str = "") -> dict[str, R]:
        """The records whose keys begin with ``prefix``, by the rest of their keys.

        Raises:
            TurnError: One of them is no ``cls``. All stay where they are.
        """

    async def next_platform_chat_id(self) -> PlatformChatId:
        """Issue a number in the commit's own transaction.

        Raises:
            TurnError: This turn has issued one already.
        """


class BotRecords(Protocol):
    """The durable records of the bot itself, each under its whole key. For the bot's own flows."""

    async def read(self, cls: type[R], key: str) -> R | None:
        """The record under ``key`` as this turn has it, or None. A corrupt one is set aside."""

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

    def of_flow(self, name: str) -> Records:
        """The records of the flow with this name."""


class NoRecords:
    """The records of a turn that no engine has made: there are none to read or to write."""

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
    """Which keys a turn has read or saved."""

    _keys: set[str] = field(factory=set, init=False)
    _prefixes: set[str] = field(factory=set, init=False)

    def add(self, key: str) -> None:
        """The key was read or saved."""
        self._keys.add(key)

    def add_prefix(self, prefix: str) -> None:
        """All keys that begin with ``prefix`` were read."""
        self._prefixes.add(prefix)

    def require(self, cls: type[object], key: str, *, prefix: str = "") -> None:
        """Do nothing if the key was read or saved.

        Args:
            cls: What is asked for.
            key: Its whole key.
            prefix: What the key begins with, and whoever asks for it leaves out.

        Raises:
            TurnError: It was not.
        """
        if key not in self._keys and not key.startswith(tuple(self._prefixes)):
            named = key.removeprefix(prefix)
            problem = f"the record under {named!r} was not read in this turn"
            read = f"await turn.records.read({cls.__name__}, {named!r})"
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
