"""A homeserver in memory that fails when a test says so, and the whole bot upon it.

It has what the bot asks of ``matrix.Homeserver``, without HTTP: a run takes milliseconds, so that
every request and every statement of it can be struck in turn. What HTTP adds is struck through
``proxy.py``, in front of a real homeserver.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from attrs import define, field

from fsm.values.ids import EventId, RoomId, SyncToken, TransactionId, UserId
from fsm.values.retry import RetryPolicy
from matrix import Homeserver
from matrix.api.errors import RateLimited, Refused, Unreachable
from matrix.api.homeserver import Page
from matrix.api.retry import retry_request
from strandline.config.model import Config, load_config
from strandline.testing.person import TimelineEvent, fold

T = TypeVar("T")
Json = dict[str, Any]

BOT = UserId("@bot:memory")
ALICE, BOB = UserId("@alice:memory"), UserId("@bob:memory")
EVENTS_A_SYNC = 2
"""So few, that a short conversation moves the checkpoint often."""

SOON = RetryPolicy(first_wait_seconds=0.005, max_wait_seconds=0.02)


class NoKeys:
    """Nothing is encrypted."""

    def forget(self, room_id: RoomId) -> None:
        """Nothing was kept."""

    def members_changed(self, room_id: RoomId) -> None:
        """Nobody needs a key."""


class MemoryRooms:
    """Rooms that the bot makes, by their aliases, and their state."""

    def __init__(self, homeserver: "MemoryHomeserver") -> None:
        self._homeserver = homeserver
        self.aliases: dict[str, RoomId] = {}
        self.made: list[RoomId] = []
        self.states: dict[tuple[RoomId, str, str], Json] = {}
        self.invited: set[tuple[RoomId, UserId]] = set()

    async def create(self, body: Json) -> RoomId:
        def make() -> RoomId:
            alias = f"#{body['room_alias_name']}:memory"
            if alias in self.aliases:
                raise Refused(400, "M_ROOM_IN_USE", "taken")
            room_id = self.aliases[alias] = RoomId(f"!made{len(self.made)}")
            self.made.append(room_id)
            self.states[room_id, "m.room.name", ""] = {"name": body["name"]}
            self.states[room_id, "m.room.member", BOT] = {"membership": "join"}
            return room_id

        return await self._homeserver.request(make)

    async def find_alias(self, alias: str) -> RoomId | None:
        return await self._homeserver.request(lambda: self.aliases.get(alias))

    async def delete_alias(self, alias: str) -> None:
        await self._homeserver.request(lambda: self.aliases.pop(alias, None))

    async def state(self, room_id: RoomId, event_type: str, state_key: str = "") -> Json | None:
        found = self.states.get((room_id, event_type, state_key))
        return await self._homeserver.request(lambda: found)

    async def own_membership(self, room_id: RoomId) -> Json | None:
        return await self._homeserver.request(lambda: self._homeserver.own_join(room_id))

    async def set_state(
        self, room_id: RoomId, event_type: str, state_key: str, content: Json
    ) -> EventId:
        def put() -> EventId:
            self.states[room_id, event_type, state_key] = content
            return EventId("$state")

        return await self._homeserver.request(put)

    async def invite(self, room_id: RoomId, user_id: UserId) -> None:
        await self._homeserver.request(lambda: self.invited.add((room_id, user_id)))

    async def send_read_receipt(self, room_id: RoomId, event_id: EventId) -> None:
        """Nobody looks at it."""

    async def set_typing(self, room_id: RoomId, *, is_typing: bool) -> None:
        """Nobody looks at it."""


@define(eq=False)
class MemoryHomeserver:
    """Rooms, and the transaction ids that it was given.

    Args:
        is_owed: Whether a row with this transaction id is on disk.
        fault: What befalls the request of this number: "reset", "reset after" or "429".
    """

    is_owed: Callable[[TransactionId], bool] = lambda _: True
    fault: Callable[[int], str | None] = lambda _: None
    requests: int = 0
    struck: int = 0
    log: list[tuple[RoomId, Json]] = field(factory=list)
    wrong: list[str] = field(factory=list)
    """What a bot must never ask."""
    user_id: UserId = BOT
    name: str = ""
    login_count: int = 0
    logged_in_at_ms: int = 0
    keys: NoKeys = field(factory=NoKeys)
    rooms: MemoryRooms = field(init=False)
    sent: dict[tuple[RoomId, TransactionId], tuple[EventId, Json]] = field(factory=dict)
    """What came of each transaction id, and what was sent under it."""
    _news: asyncio.Event = field(factory=asyncio.Event)

    def __attrs_post_init__(self) -> None:
        self.rooms = MemoryRooms(self)

    async def fetch_name(self) -> None:
        """It has none."""

    def members_changed(self, room_id: RoomId) -> None:
        """Nobody needs a key."""

    def forget(self, room_id: RoomId) -> None:
        """Nothing was kept."""

    async def is_group(self, room_id: RoomId) -> bool:
        del room_id
        return False

    def timeline(self, room_id: RoomId) -> list[TimelineEvent]:
        return fold(raw for room, raw in self.log if room == room_id)

    def happens(self, room_id: RoomId, sender: UserId, kind: str, **more: Any) -> EventId:
        event_id = EventId(f"${len(self.log)}")
        raw = {"event_id": event_id, "sender": sender, "type": kind, "origin_server_ts": 1}
        self.log.append((room_id, raw | more))
        self._news.set()
        return event_id

    def say(self, room_id: RoomId, sender: UserId, body: str) -> EventId:
        content = {"msgtype": "m.text", "body": body}
        return self.happens(room_id, sender, "m.room.message", content=content)

    def move(self, room_id: RoomId, sender: UserId, membership: str, before: str) -> None:
        """The bot is invited, or joins."""
        self.happens(
            room_id,
            sender,
            "m.room.member",
            state_key=BOT,
            content={"membership": membership},
            unsigned={"prev_content": {"membership": before}},
        )

    async def retry(self, operation: Callable[[], Awaitable[T]]) -> T:
        return await retry_request(operation, SOON)

    async def read_or_default(
        self, room_id: RoomId, operation: Callable[[], Awaitable[T]], unknown: T
    ) -> T:
        del room_id, unknown
        return await self.retry(operation)

    async def sync(self, since: SyncToken | None, wait_ms: int) -> Json:
        del wait_ms
        begin = 0 if since is None else int(since.removeprefix("s"))
        while begin == len(self.log) and since is not None:
            self._news.clear()
            await self._news.wait()
        end = begin if since is None else min(len(self.log), begin + EVENTS_A_SYNC)
        return await self.request(lambda: self._answer(begin, end))

    def receive(self, sync: Json) -> None:
        """There are no keys in it."""

    def decrypted(self, room_id: RoomId, raw: Json) -> Json:
        del room_id
        return raw

    async def exchange_keys(self) -> None:
        """No keys are due."""

    async def send(
        self, room_id: RoomId, kind: str, content: Json, transaction_id: TransactionId
    ) -> EventId:
        return await self.request(lambda: self._take(room_id, kind, content, transaction_id))

    async def join(self, room_id: RoomId) -> None:
        def accept() -> None:
            if not self._is_joined(room_id, len(self.log)):
                self.move(room_id, BOT, "join", "invite")

        await self.request(accept)

    def own_join(self, room_id: RoomId) -> Json | None:
        """The bot's join, which says what it came after."""
        moves = [
            raw for room, raw in self.log if room == room_id and raw["type"] == "m.room.member"
        ]
        if not moves or moves[-1]["content"]["membership"] != "join":
            return None
        before = [raw["event_id"] for raw in moves[:-1]][-1:]
        return moves[-1] | {"unsigned": {"replaces_state": before[0]} if before else {}}

    async def page(
        self, room_id: RoomId, *, direction: str, start: str | None, end: str | None = None
    ) -> Page:
        low, high = (start, end) if direction == "f" else (end, start)
        begin = 0 if low is None else int(low.removeprefix("s"))
        stop = len(self.log) if high is None else int(high.removeprefix("s"))
        found = [raw for room, raw in self.log[begin:stop] if room == room_id]
        return await self.request(lambda: Page(found if direction == "f" else found[::-1], None))

    async def event(self, room_id: RoomId, event_id: EventId) -> Json | None:
        found = (r for room, r in self.log if room == room_id and r["event_id"] == event_id)
        return await self.request(lambda: next(found, None))

    async def request(self, effect: Callable[[], T]) -> T:
        self.requests += 1
        fault = self.fault(self.requests)
        self.struck += fault is not None
        await asyncio.sleep(0)
        if fault == "reset":
            raise Unreachable("memory", "reset")
        if fault == "429":
            raise RateLimited(5)
        result = effect()
        if fault == "reset after":
            raise Unreachable("memory", "reset after it was done")
        return result

    def _answer(self, begin: int, end: int) -> Json:
        rooms: Json = {"invite": {}, "join": {}}
        for room_id, raw in self.log[begin:end]:
            if raw.get("content", {}).get("membership") == "invite":
                rooms["invite"][room_id] = {"invite_state": {"events": [raw]}}
            if self._is_joined(room_id, end):
                # whoever has just joined gets all since the invite
                first = begin if self._is_joined(room_id, begin) else 0
                events = [raw for room, raw in self.log[first:end] if room == room_id]
                rooms["join"][room_id] = {"timeline": {"events": events}}
        return {"next_batch": f"s{end}", "rooms": rooms}

    def _is_joined(self, room_id: RoomId, end: int) -> bool:
        return any(
            room == room_id and raw["sender"] == BOT and raw["type"] == "m.room.member"
            for room, raw in self.log[:end]
        )

    def _take(
        self, room_id: RoomId, kind: str, content: Json, transaction_id: TransactionId
    ) -> EventId:
        known = self.sent.get((room_id, transaction_id))
        if known is not None:
            if known[1] != content:
                self.wrong.append(f"{transaction_id} was {known[1]} and is {content}")
            return known[0]
        is_edit_between = len(transaction_id.split(".")[1]) == len("0" * 32)
        if not is_edit_between and not self.is_owed(transaction_id):
            self.wrong.append(f"{transaction_id} is sent and not on disk")
        event_id = self.happens(room_id, BOT, kind, content=content)
        self.sent[room_id, transaction_id] = event_id, content
        return event_id


def as_homeserver(memory: MemoryHomeserver) -> Homeserver:
    return cast("Homeserver", memory)


def config_in(directory: Path, *, agents: int = 2, onboarding: str = "none") -> Config:
    """A bot with agents whose answers grow."""
    options = {"chunks": 3, "chunk_seconds": 0.01}
    raw = {
        "homeserver": {"url": "http://memory", "user_id": BOT, "password": "none"},
        "storage": {"data_dir": "data"},
        "agents": [
            {"id": f"agent-{n}", "name": f"Agent {n}", "kind": "echo", "options": options}
            for n in range(1, agents + 1)
        ],
        "rooms": {"onboarding": onboarding},
        "limits": {"edit_seconds": 0.005},
    }
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "config.yaml"
    path.write_text(yaml.safe_dump(raw))
    return load_config(path, {})


def owed_in(database: Path) -> Callable[[TransactionId], bool]:
    """Looks for a row with a connection of its own, as another program would."""

    def is_owed(transaction_id: TransactionId) -> bool:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
            asked = "SELECT 1 FROM outbox WHERE transaction_id = ?"
            return db.execute(asked, (transaction_id,)).fetchone() is not None

    return is_owed
