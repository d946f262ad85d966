"""States and their tiers: a state's tier says what a restart does to conversations in it."""

from datetime import timedelta
from enum import Enum

from attrs import define, field


class Tier(Enum):
    """The tier of a state: what a restart does to a conversation in that state."""

    DURABLE = "durable"
    """After a restart, the conversation is in the same state, with its record."""

    EPHEMERAL = "ephemeral"
    """A restart discards the state and its memory. The conversation falls back to the last durable
    state, or to idle."""


durable = Tier.DURABLE
ephemeral = Tier.EPHEMERAL


class Scope(Enum):
    """What a flow has one conversation for: a user, a room, or a user in a room."""

    USER = "user"
    """One conversation for each user, shared by all rooms."""

    ROOM = "room"
    """One conversation for each room, shared by all users in it."""

    MEMBER = "member"
    """One conversation for each user in each room. Events of other users do not reach it."""


def minutes(count: float) -> timedelta:
    """Return a duration of ``count`` minutes, for ``State(expires=…)``."""
    return timedelta(minutes=count)


def hours(count: float) -> timedelta:
    """Return a duration of ``count`` hours, for ``State(expires=…)``."""
    return timedelta(hours=count)


def days(count: float) -> timedelta:
    """Return a duration of ``count`` days, for ``State(expires=…)``."""
    return timedelta(days=count)


def seconds(count: float) -> timedelta:
    """Return a duration of ``count`` seconds, for ``State(expires=…)``."""
    return timedelta(seconds=count)


@define(eq=False)
class State:
    """One state of a flow, declared in the flow's class body.

    Args:
        tier: ``durable`` or ``ephemeral``; None for the initial state, which is never stored.
        record: The attrs class of a durable state's data, which is saved. None: the state has no
            record.
        memory: The attrs class of an ephemeral state's data, which is never saved. None: the state
            has no memory.
        expires: How long a conversation may stay in the state. Required for an ephemeral state.
            Optional for a durable state: None means for ever. The deadline of a durable state is
            saved as wall-clock time; if it passes while the bot is down, it is handled after the
            restart. The expiry causes the state's ``on_expiry`` event. Without such an event, an
            ephemeral state falls back to the last durable state or idle, and a durable state leads
            to idle.
        initial: Whether this is the flow's idle state, in which every conversation begins.
        lost: Text for the docs: what the user sees if the process dies while a conversation is in
            this state. Empty: the docs show a description derived from the flow.
    """

    tier: Tier | None = None
    record: type | None = field(default=None, kw_only=True)
    memory: type | None = field(default=None, kw_only=True)
    expires: timedelta | None = field(default=None, kw_only=True)
    initial: bool = field(default=False, kw_only=True)
    lost: str = field(default="", kw_only=True)
    name: str = field(default="", init=False)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @property
    def is_durable(self) -> bool:
        """Whether the state survives a restart."""
        return self.tier is Tier.DURABLE

    @property
    def data_type(self) -> type | None:
        """The class of the state's record or memory; None if the state has no data."""
        return self.record or self.memory
