"""The restart: look at what is there, say what it is, load nothing and change nothing."""

import sqlite3
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from itertools import chain, islice

from attrs import asdict, frozen

from durable.records import (
    CHAT_PREFIX,
    ROOM_PREFIX,
    USER_PREFIX,
    IssuedNumber,
)
from durable.store.codec import from_json
from durable.store.errors import CorruptValue
from durable.store.sqlite.queries import highest_issued, meta
from durable.store.sqlite.store import Store
from durable.store.sqlite.transaction import read_value
from fsm.records import PLATFORM_CHAT_SEQ_KEY
from fsm.values.ids import AgentId, RoomId, SyncToken, UserId
from fsm.values.registry import Registry

ORPHANS_NAMED = 100
"""How many bindings without an agent the report names; the rest it counts. An agent that is
taken out of the config may leave a million."""


@frozen(kw_only=True)
class RestartReport:
    """What a restart found.

    Args:
        rooms: How many rooms are on record.
        users: How many users.
        chats: How many chats.
        next_platform_chat_number: What the next room that is bound gets.
        checkpoint: Where syncing goes on; None at a first start.
        orphaned_rooms: Rooms bound to an agent that the config no longer has (the first few).
        orphaned_users: Users who selected one (the first few).
        orphaned: How many there are in all.
        owed: Requests that the homeserver has not acknowledged.
        reopened: Events that are to be handled again.
        streaming: Answers that had begun to show.
        parked: Events that failed every time.
        parked_rows: Requests that can never succeed.
        quarantined: Values that were set aside as corrupt.
        last_started: When the life before this began.
        last_stopped: When it ended in order; None if it was killed, or never was.
    """

    rooms: int
    users: int
    chats: int
    next_platform_chat_number: int
    checkpoint: SyncToken | None
    orphaned_rooms: tuple[tuple[RoomId, AgentId], ...]
    orphaned_users: tuple[tuple[UserId, AgentId], ...]
    orphaned: int
    owed: int
    reopened: int
    streaming: int
    parked: int
    parked_rows: int
    quarantined: int
    last_started: datetime | None
    last_stopped: datetime | None

    @property
    def clean_start(self) -> bool:
        """Whether there is nothing to come back to."""
        return self.checkpoint is None and not (self.rooms or self.users or self.chats)

    def lines(self) -> Iterator[str]:
        """What the log says at start."""
        if self.clean_start:
            yield "no state was found: this is a clean start, and everybody is greeted anew"
        else:
            yield f"restored {self.rooms} rooms, {self.users} users and {self.chats} chats"
        yield f"the next platform chat is {self.next_platform_chat_number}"
        if self.last_started is not None:
            yield self._last_life(self.last_started)
        if self.owed or self.reopened or self.streaming:
            yield (
                f"to finish: {self.owed} requests to the homeserver, {self.reopened} held "
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
        """The same, field by field."""
        fields = asdict(self, recurse=False) | {"clean_start": self.clean_start}
        return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in fields.items()}

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _last_life(self, started: datetime) -> str:
        if self.last_stopped is None:
            return f"the last run began at {started:%Y-%m-%d %H:%M:%S} UTC and was cut off"
        return f"the last run ended in order at {self.last_stopped:%Y-%m-%d %H:%M:%S} UTC"


async def load(store: Store, registry: Registry) -> RestartReport:
    """Report on the store. Idempotent: it runs no handler, and writes nothing.

    It reads no record either: a record is read when its room speaks.
    """
    known = frozenset(entry.id for entry in registry)
    return await store.query(lambda db: _report(db, known))


def _report(db: sqlite3.Connection, known: Collection[AgentId]) -> RestartReport:
    lost_rooms = [agent for agent in _agents(db, _ROOM_AGENTS) if agent not in known]
    lost_users = [agent for agent in _agents(db, _USER_AGENTS) if agent not in known]
    checkpoint = meta(db, "checkpoint")
    return RestartReport(
        rooms=_count(db, ROOM_PREFIX),
        users=_count(db, USER_PREFIX),
        chats=_count(db, CHAT_PREFIX),
        next_platform_chat_number=max(highest_issued(db), _last_in_sequence(db)) + 1,
        checkpoint=None if checkpoint is None else SyncToken(checkpoint),
        orphaned_rooms=tuple(
            (RoomId(room), agent) for room, agent in _named(db, _ROOMS_OF, lost_rooms)
        ),
        orphaned_users=tuple(
            (UserId(user), agent) for user, agent in _named(db, _USERS_OF, lost_users)
        ),
        orphaned=sum(_one(db, _COUNT_ROOMS_OF, agent) for agent in lost_rooms)
        + sum(_one(db, _COUNT_USERS_OF, agent) for agent in lost_users),
        owed=_one(db, "SELECT count(*) FROM outbox WHERE parked_error IS NULL"),
        reopened=_one(db, "SELECT count(*) FROM reopened"),
        streaming=_one(db, "SELECT count(*) FROM stream"),
        parked=_one(db, "SELECT count(*) FROM parked"),
        parked_rows=_one(db, "SELECT count(*) FROM outbox WHERE parked_error IS NOT NULL"),
        quarantined=_one(db, "SELECT count(*) FROM quarantine"),
        last_started=_instant(meta(db, "started_at_ms")),
        last_stopped=_instant(meta(db, "stopped_at_ms")),
    )


# Each agent costs one step into the index, however many rooms it has.
_ROOM_AGENTS = """
    WITH RECURSIVE found (agent_id) AS (
        SELECT min(agent_id) FROM room WHERE agent_id > ''
        UNION ALL
        SELECT (SELECT min(agent_id) FROM room WHERE agent_id > found.agent_id)
        FROM found WHERE found.agent_id IS NOT NULL
    )
    SELECT agent_id FROM found WHERE agent_id IS NOT NULL
"""
_USER_AGENTS = """
    WITH RECURSIVE found (agent_id) AS (
        SELECT min(agent_id) FROM user WHERE agent_id > ''
        UNION ALL
        SELECT (SELECT min(agent_id) FROM user WHERE agent_id > found.agent_id)
        FROM found WHERE found.agent_id IS NOT NULL
    )
    SELECT agent_id FROM found WHERE agent_id IS NOT NULL
"""
_ROOMS_OF = "SELECT room_id FROM room WHERE agent_id = ? LIMIT ?"
_USERS_OF = "SELECT user_id FROM user WHERE agent_id = ? LIMIT ?"
_COUNT_ROOMS_OF = "SELECT count(*) FROM room WHERE agent_id = ?"
_COUNT_USERS_OF = "SELECT count(*) FROM user WHERE agent_id = ?"

INDEXED = (_ROOM_AGENTS, _USER_AGENTS, _ROOMS_OF, _USERS_OF, _COUNT_ROOMS_OF, _COUNT_USERS_OF)
"""What is asked of rooms and users; a test holds each to its index."""


def _agents(db: sqlite3.Connection, statement: str) -> list[AgentId]:
    return [AgentId(agent) for (agent,) in db.execute(statement).fetchall()]


def _named(
    db: sqlite3.Connection, statement: str, agents: list[AgentId]
) -> list[tuple[str, AgentId]]:
    found = (
        (name, agent)
        for agent in agents
        for (name,) in db.execute(statement, (agent, ORPHANS_NAMED)).fetchall()
    )
    return list(islice(found, ORPHANS_NAMED))


def _one(db: sqlite3.Connection, statement: str, *bound: str) -> int:
    (number,) = db.execute(statement, bound).fetchone()
    return int(number)


def _count(db: sqlite3.Connection, prefix: str) -> int:
    """Rows whose key begins so, from the key's index alone (47 ms for a million)."""
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    return _one(db, "SELECT count(*) FROM kv WHERE key >= ? AND key < ?", prefix, end)


def _last_in_sequence(db: sqlite3.Connection) -> int:
    text = read_value(db, PLATFORM_CHAT_SEQ_KEY)
    try:
        return from_json(IssuedNumber, text).number if text is not None else 0
    except CorruptValue:  # the first allocation sets it aside
        return 0


def _instant(at_ms: str | None) -> datetime | None:
    return None if at_ms is None else datetime.fromtimestamp(int(at_ms) / 1000, UTC)
