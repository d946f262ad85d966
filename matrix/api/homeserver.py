"""The homeserver, as the rest of ``matrix/`` sees it: what can be asked of it, encrypted or not."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import structlog
from attrs import frozen

from fsm.values.ids import EventId, RoomId, SyncToken, TransactionId, UserId
from fsm.values.retry import HOMESERVER_LOOKUP
from matrix.api import fields
from matrix.api.content import BY_KEY
from matrix.api.errors import MatrixError, Refused, TokenRevoked, Unreachable
from matrix.api.http import HomeserverHttp, endpoint
from matrix.api.media import Media
from matrix.api.retry import read_or_default, retry_request
from matrix.api.rooms import Rooms
from matrix.api.session import HomeserverSettings, Login, Session
from matrix.crypto.key_exchange import KeyExchange
from matrix.crypto.olm import Crypto, is_encryption

_log = structlog.get_logger(__name__)

T = TypeVar("T")
Json = dict[str, Any]

SYNC_WAIT_MS = 30_000
"""How long the homeserver may hold a sync request when nothing happens."""

JOIN_SECONDS = 120.0
"""A join may have to wait for another homeserver."""

NAME_SECONDS = 5.0
"""How long the bot waits to hear what it is called: it can do without."""

MOST_NAME_CHARS = 255
"""A longer display name is cut."""

PAGE_EVENTS = 100
"""Events a page of a room's history. Synapse gives no more."""

_FILTER: Json = {
    "presence": {"types": []},
    "account_data": {"types": []},
    "room": {
        "ephemeral": {"types": []},
        "account_data": {"types": []},
        "state": {
            "types": ["m.room.encryption", "m.room.member"],
            "lazy_load_members": True,
        },
        "timeline": {"limit": PAGE_EVENTS, "lazy_load_members": True},
    },
}


@frozen
class Page:
    """One page of a room's history.

    Args:
        events: In the direction that was asked for.
        end: Where the next page begins, or None if this was the last.
    """

    events: list[Json]
    end: str | None


class Homeserver:
    """One account on one homeserver. Make it with ``Homeserver.connect``."""

    def __init__(
        self, http: HomeserverHttp, login: Login, session: Session, crypto: Crypto
    ) -> None:
        self._http = http
        self._login = login
        self._crypto = crypto
        self._plain: set[RoomId] = set()
        self._people: dict[RoomId, int] = {}
        self._counting: dict[RoomId, object] = {}
        self._logins_seen = -1
        self._life = uuid4().hex
        self._sync_problem = ""
        self.lookup_policy = HOMESERVER_LOOKUP
        self.user_id: UserId = session.user_id
        self.name = ""
        self._is_name_known = False
        self.rooms = Rooms(http, session.user_id)
        self.media = Media(http, self.is_encrypted)
        self.keys = KeyExchange(http, crypto)

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, settings: HomeserverSettings, matrix_store: Path, *, max_wait_seconds: float = 0.0
    ) -> AsyncIterator["Homeserver"]:
        """Log in, or take up the stored session, and open the crypto store.

        Args:
            settings: The account.
            matrix_store: The folder of the session and of the crypto store.
            max_wait_seconds: How long a first login waits for a homeserver that is away.

        Raises:
            MatrixError: It can't be used: what is wrong, and what to do about it.
        """
        http = HomeserverHttp(settings.url)
        try:
            login = Login(http, settings, matrix_store)
            session = await login.open(max_wait_seconds=max_wait_seconds)
            crypto = Crypto(session.user_id, session.device_id, matrix_store)
            try:
                yield cls(http, login, session, crypto)
            finally:
                crypto.close()
        finally:
            await http.close()

    @property
    def logins(self) -> int:
        """How often this process logged in.

        After a login the homeserver may have forgotten the transaction ids of our device.
        """
        return self._login.count

    @property
    def logged_in_at_ms(self) -> int:
        """When our device was last logged in, Unix time in milliseconds, by whichever process."""
        return self._login.logged_in_at_ms

    async def retry(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Run it until it works or can never work; see ``matrix.api.retry.retry_request``."""
        return await retry_request(operation)

    async def read_or_default(
        self, room_id: RoomId, operation: Callable[[], Awaitable[T]], default: T
    ) -> T:
        """Read what only adds to an event; see ``matrix.api.retry.read_or_default``."""
        return await read_or_default(
            operation, self._login.whoami, default, self.lookup_policy, room_id=room_id
        )

    async def sync(self, since: SyncToken | None, wait_ms: int) -> Json:
        """One sync response, raw, its keys and encryption settings stored.

        Raises:
            MatrixError: There is none; ask again with the same token.
        """
        query = {
            "timeout": str(wait_ms),
            "filter": _filter(first=since is None, life=self._life),
        }
        if since is not None:
            query["since"] = since
        try:
            answer = await self._http.request(
                "GET", endpoint("sync"), query=query, timeout_seconds=wait_ms / 1000 + 60
            )
        except (Refused, TokenRevoked) as refused:
            # without it the bot can do nothing: only a login that is refused ends it
            self._note_refused_sync(str(refused))
            raise Unreachable(self._http.url, str(refused)) from refused
        self._note_refused_sync("")
        if not isinstance(answer.get("next_batch"), str):
            raise Unreachable(self._http.url, "its sync answer lacks next_batch")
        return answer

    async def learn_name(self) -> None:
        """Ask what the account's display name is, unless that is known. It is tried once."""
        if self._is_name_known:
            return
        path = endpoint("profile", self.user_id, "displayname")
        try:
            answer = await self._http.request("GET", path, timeout_seconds=NAME_SECONDS)
        except Refused:
            answer = {}  # there is none
        except MatrixError as error:
            _log.debug("the display name is not known yet", problem=str(error))
            return
        self.name = fields.text(answer, "displayname", most_chars=MOST_NAME_CHARS) or ""
        self._is_name_known = True

    async def upkeep(self) -> None:
        """Exchange the keys that are due."""
        logins = self._login.count
        if self._login.keys_due and self._logins_seen != logins:
            self._logins_seen = logins
            self.keys.device_renewed()
        await self.keys.upkeep()
        # a login in between is for the next time
        if self._login.keys_due and self._login.count == logins and self.keys.are_published:
            self._login.keys_published()

    def receive(self, sync: Json) -> None:
        """Store the keys that a sync response brings, before it is acknowledged by the next one."""
        self._crypto.receive(sync)

    def decrypted(self, room_id: RoomId, raw: Json) -> Json:
        """The event in clear if it can be decrypted, else as it is."""
        if raw.get("type") != "m.room.encrypted":
            return raw
        return self._crypto.decrypt(room_id, raw) or raw

    def members_changed(self, room_id: RoomId) -> None:
        """Other people are in the room than before, or may be."""
        self._miscounted(room_id)
        self.keys.members_changed(room_id)

    def forget(self, room_id: RoomId) -> None:
        """The bot is no longer in the room."""
        self._miscounted(room_id)
        self.keys.forget(room_id)

    async def is_group(self, room_id: RoomId) -> bool:
        """Whether more than two people are in the room, or invited; asked when that may change."""
        people = self._people.get(room_id)
        if people is None:
            try:
                people = await self._count(room_id)
            except Refused:
                return False
        return people > 2  # noqa: PLR2004  # a person and the bot

    async def new_keys(self) -> None:
        """Wait for a sync response that brings to-device messages."""
        await self._crypto.new_keys()

    async def send(
        self, room_id: RoomId, kind: str, content: Json, transaction_id: TransactionId
    ) -> EventId:
        """Send an event, encrypted if the room is; the id that the homeserver gave it."""
        content = content | {BY_KEY: self.user_id}
        if kind != "m.reaction" and await self.is_encrypted(room_id):
            kind, content = await self.keys.encrypt(room_id, kind, content)
        path = endpoint("rooms", room_id, "send", kind, transaction_id)
        answer = await self._http.request("PUT", path, body=content, may_repeat=False)
        event_id = fields.event_id(answer, "event_id")
        if event_id is None:
            raise Unreachable(self._http.url, "its answer to a send lacks event_id")
        return event_id

    async def join(self, room_id: RoomId) -> None:
        """Accept an invite. Joining again changes nothing."""
        path = endpoint("rooms", room_id, "join")
        await self._http.request("POST", path, body={}, timeout_seconds=JOIN_SECONDS)

    async def leave(self, room_id: RoomId) -> None:
        """Leave the room, or decline an invite to it. Leaving what one is not in is no error."""
        path = endpoint("rooms", room_id, "leave")
        try:
            await self._http.request("POST", path, body={}, timeout_seconds=JOIN_SECONDS)
        except Refused as refused:
            if refused.status not in (403, 404):
                raise

    async def page(
        self, room_id: RoomId, *, direction: str, start: str | None, end: str | None = None
    ) -> Page:
        """One page of the room's history, decrypted.

        Encryption that is turned on in it is noted: the sync may have left that out.
        """
        query = {"dir": direction, "limit": str(PAGE_EVENTS)}
        query |= {"from": start} if start else {}
        query |= {"to": end} if end else {}
        path = endpoint("rooms", room_id, "messages")
        answer = await self._http.request("GET", path, query=query)
        chunk = [self.decrypted(room_id, raw) for raw in fields.objects(answer, "chunk")]
        if any(is_encryption(raw) for raw in chunk):
            self._crypto.mark_encrypted([room_id])
        return Page(chunk, fields.text(answer, "end"))

    async def event(self, room_id: RoomId, event_id: EventId) -> Json | None:
        """One event, decrypted, or None if it is gone."""
        path = endpoint("rooms", room_id, "event", event_id)
        try:
            return self.decrypted(room_id, await self._http.request("GET", path))
        except Refused:
            return None

    async def is_encrypted(self, room_id: RoomId) -> bool:
        """Whether the room is encrypted. Asked once for each room that is not."""
        if self._crypto.is_encrypted(room_id):
            return True
        if room_id in self._plain:
            return False
        path = endpoint("rooms", room_id, "state", "m.room.encryption", "")
        try:
            await self._http.request("GET", path)
        except Refused as refused:
            if refused.status != 404:  # noqa: PLR2004
                raise
            self._plain.add(room_id)
            return False
        self._crypto.mark_encrypted([room_id])
        return True

    def _note_refused_sync(self, problem: str) -> None:
        if problem and problem != self._sync_problem:
            _log.error("the homeserver refuses to sync, trying again", problem=problem)
        self._sync_problem = problem

    async def _count(self, room_id: RoomId) -> int:
        """How many are in the room; kept unless somebody came or went while they were counted."""
        counting = self._counting.setdefault(room_id, object())
        people = await self.rooms.people(room_id)
        if self._counting.get(room_id) is counting:
            del self._counting[room_id]
            self._people[room_id] = people
        return people

    def _miscounted(self, room_id: RoomId) -> None:
        self._people.pop(room_id, None)
        self._counting.pop(room_id, None)


def _filter(*, first: bool, life: str) -> str:
    """The sync filter. A first sync answers no history, so it asks for next to none.

    It names the life of the process. For two minutes Synapse answers a request that it had before
    with what it answered then, and the next life may ask from the same token: it would not learn
    what was edited or taken back in between.
    """
    room = _FILTER["room"]
    timeline = room["timeline"] | ({"limit": 1} if first else {})
    lives = {"presence": _FILTER["presence"] | {"not_types": [life]}}
    return json.dumps(
        _FILTER | lives | {"room": room | {"timeline": timeline}}, separators=(",", ":")
    )
