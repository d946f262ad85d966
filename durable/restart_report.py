"""The report that the bot logs when it starts: what is in the store."""

from collections.abc import Iterator
from datetime import datetime
from itertools import chain

from attrs import asdict, frozen

from fsm.values.ids import AgentId, RoomId, SyncToken, UserId


@frozen(kw_only=True)
class RestartReport:
    """The content of the store at the start of the bot.

    Args:
        rooms: Number of room records.
        users: Number of user records.
        chats: Number of chat records.
        next_platform_chat_number: The platform chat number that will be issued next.
        checkpoint: The sync token from which syncing continues; None at a first start.
        orphaned_rooms: Rooms bound to an agent that is not in the config, each with that agent; at
            most 100.
        orphaned_users: Users whose selected agent is not in the config, each with that agent; at
            most 100.
        orphaned: Number of all such rooms and users together.
        pending_rows: Number of outbox rows to deliver: requests that the homeserver has not
            acknowledged.
        reopened: Number of events that the bot handles again.
        streaming: Number of answers whose first message is sent or pending, and that are not
            complete.
        parked: Number of parked events.
        parked_rows: Number of parked outbox rows.
        quarantined: Number of unusable values in the table ``quarantine``.
        last_started: When the previous run began, UTC; None at a first start.
        last_stopped: When the previous run closed the store, UTC. None if that run ended without
            closing it, as after SIGKILL; also None at a first start.
    """

    rooms: int
    users: int
    chats: int
    next_platform_chat_number: int
    checkpoint: SyncToken | None
    orphaned_rooms: tuple[tuple[RoomId, AgentId], ...]
    orphaned_users: tuple[tuple[UserId, AgentId], ...]
    orphaned: int
    pending_rows: int
    reopened: int
    streaming: int
    parked: int
    parked_rows: int
    quarantined: int
    last_started: datetime | None
    last_stopped: datetime | None

    @property
    def clean_start(self) -> bool:
        """Whether the store is empty."""
        return self.checkpoint is None and not (self.rooms or self.users or self.chats)

    def lines(self) -> Iterator[str]:
        """The report as lines of the log."""
        if self.clean_start:
            yield "no state was found: this is a clean start, and the bot greets all users again"
        else:
            yield f"restored {self.rooms} rooms, {self.users} users and {self.chats} chats"
        yield f"the next platform chat is {self.next_platform_chat_number}"
        if self.last_started is not None:
            yield self._last_life(self.last_started)
        if self.pending_rows or self.reopened or self.streaming:
            yield (
                f"to finish: {self.pending_rows} requests to the homeserver, {self.reopened} held "
                f"messages, {self.streaming} answers that had begun to show"
            )
        if self.orphaned:
            agents = sorted({a for _, a in chain(self.orphaned_rooms, self.orphaned_users)})
            yield (
                f"{self.orphaned} rooms and users refer to agents that the config does not have "
                f"({', '.join(agents)}); they are asked to choose again"
            )
        if self.parked or self.parked_rows:
            yield (
                f"set aside: {self.parked} events and {self.parked_rows} requests; "
                f"see 'strandline parked list'"
            )
        if self.quarantined:
            yield f"{self.quarantined} corrupt values are in the table 'quarantine'"

    def fields(self) -> dict[str, object]:
        """The report as fields of a structured log entry."""
        fields = asdict(self, recurse=False) | {"clean_start": self.clean_start}
        return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in fields.items()}

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _last_life(self, started: datetime) -> str:
        if self.last_stopped is None:
            return f"the last run began at {started:%Y-%m-%d %H:%M:%S} UTC and was cut off"
        return f"the last run ended in order at {self.last_stopped:%Y-%m-%d %H:%M:%S} UTC"
