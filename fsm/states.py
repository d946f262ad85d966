"""States and their tiers: a state's tier says what a restart does to conversations in it."""

from datetime import timedelta
from enum import Enum

from attrs import define, field


class Tier(Enum):
    """What a restart does to a conversation in a state with this tag."""

    DURABLE = "durable"
    """The conversation is in the same state again, with its record."""

    EPHEMERAL = "ephemeral"
    """It is forgotten: the conversation falls back to the last durable state, or to idle."""


durable = Tier.DURABLE
ephemeral = Tier.EPHEMERAL


class Scope(Enum):
    """Whom one conversation of a flow belongs to."""

    USER = "user"
    ROOM = "room"
    MEMBER = "member"
    """A user in a room: nobody else's answer counts."""


def minutes(count: float) -> timedelta:
    """``count`` minutes, for a state's expiry."""
    return timedelta(minutes=count)


def hours(count: float) -> timedelta:
    """``count`` hours, for a state's expiry."""
    return timedelta(hours=count)


def days(count: float) -> timedelta:
    """``count`` days, for a state's expiry."""
    return timedelta(days=count)


def seconds(count: float) -> timedelta:
    """``count`` seconds, for a state's expiry."""
    return timedelta(seconds=count)


@define(eq=False)
class State:
    """One state of a flow, declared in the flow's class body.

    Args:
        tier: ``durable`` or ``ephemeral``. The initial state has none: it is not stored.
        record: The attrs class that a durable state carries. It is saved.
        memory: The attrs class that an ephemeral state carries. It is never saved.
        expires: How long the state lasts. Required for an ephemeral state, which then falls back to
            the last durable state or idle. Optional for a durable state: its deadline is saved as
            wall-clock time, and a deadline that passes while the bot is down is handled after the
            restart. Without an ``on_expiry`` event, a durable state leads to idle.
        initial: This is the flow's idle state.
        lost: What the user sees if the process dies while a conversation is in this state, for the
            docs. Default: a description derived from the flow.
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
        """The class of the state's data, if it has any."""
        return self.record or self.memory
