"""One account's requests to its homeserver, with encryption where a room needs it."""

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

SYNC_TIMEOUT_MS = 30_000
"""How long the homeserver may wait for new events before it responds to a sync request."""

JOIN_TIMEOUT_SECONDS = 120.0
"""Timeout of a join or leave request, which may have to wait for another homeserver."""

NAME_TIMEOUT_SECONDS = 5.0
"""Timeout of the request for the bot's display name. The bot also works without the name."""

MAX_NAME_CHARS = 255
"""Maximum characters of the bot's display name; a longer one is cut."""

PAGE_EVENTS = 100
"""Events per page of a room's history: Synapse's maximum."""

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
        events: The events as JSON, in the direction that was requested.
        end: The token at which the next page begins; None if this page is the last.
    """

    events: list[Json]
    end: str | None


class Homeserver:
    """Makes one account's requests to its homeserver. Create it with ``Homeserver.connect``.

    Attributes:
        lookup_policy: How ``read_or_default`` retries a read.
        user_id: The account's user id.
        name: The account's display name; empty if it has none, or if the name is not known yet.
        rooms: Requests about rooms, their state and their members.
        media: Downloads and uploads of files.
        keys: The key exchange of the account's device.
    """

    def __init__(
        self, http: HomeserverHttp, login: Login, session: Session, crypto: Crypto
    ) -> None:
        self._http = http
        self._login = login
        self._crypto = crypto
        self._plain: set[RoomId] = set()
        self._member_counts: dict[RoomId, int] = {}
        self._counting: dict[RoomId, object] = {}
        self._logins_seen = -1
        self._process_id = uuid4().hex
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
        """Log in, or resume the stored session, and open the crypto store.

        The context manager returns the ``Homeserver``, and closes the connections and the crypto
        store at its end.

        Args:
            settings: The homeserver and the credentials.
            matrix_store: The folder of the session and of the crypto store.
            max_wait_seconds: How long a first login waits for an unreachable homeserver.

        Raises:
            MatrixError: The login failed, or the session or the crypto store can't be used.
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
    def login_count(self) -> int:
        """The number of logins of this process.

        After a login the homeserver may have forgotten the transaction ids of our device.
        """
        return self._login.count

    @property
    def logged_in_at_ms(self) -> int:
        """The time of the last login by any process, Unix time in milliseconds; 0 if unknown."""
        return self._login.logged_in_at_ms

    async def retry(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Run the operation until it succeeds, and return its result.

        See ``matrix.api.retry.retry_request``.
        """
        return await retry_request(operation)

    async def read_or_default(
        self, room_id: RoomId, operation: Callable[[], Awaitable[T]], default: T
    ) -> T:
        """Make a read request, and return ``default`` if it fails although the homeserver is up.

        See ``matrix.api.retry.read_or_default``. The probe is ``GET …/account/whoami``.

        Args:
            room_id: The room that the log names.
            operation: Makes the request and returns its result.
            default: The result if the read fails.
        """
        return await read_or_default(
            operation, self._login.whoami, default, self.lookup_policy, room_id=room_id
        )

    async def sync(self, since: SyncToken | None, wait_ms: int) -> Json:
        """Request one sync response and return its JSON.

        Args:
            since: The ``next_batch`` token of the previous response, or None for a first sync.
            wait_ms: How long the homeserver may wait for new events before it responds.

        Raises:
            MatrixError: The request failed; retry with the same token.
        """
        query = {
            "timeout": str(wait_ms),
            "filter": _filter(first=since is None, process_id=self._process_id),
        }
        if since is not None:
            query["since"] = since
        try:
            answer = await self._http.request(
                "GET", endpoint("sync"), query=query, timeout_seconds=wait_ms / 1000 + 60
            )
        except (Refused, TokenRevoked) as refused:
            # the bot can't work without sync, so this is retried; only a refused login ends the bot
            self._note_refused_sync(str(refused))
            raise Unreachable(self._http.url, str(refused)) from refused
        self._note_refused_sync("")
        if not isinstance(answer.get("next_batch"), str):
            raise Unreachable(self._http.url, "its sync answer lacks next_batch")
        return answer

    async def fetch_name(self) -> None:
        """Request the account's display name and store it in ``name``, unless that was done before.

        A request that fails is logged and not retried; the next call requests the name again.
        """
        if self._is_name_known:
            return
        path = endpoint("profile", self.user_id, "displayname")
        try:
            answer = await self._http.request("GET", path, timeout_seconds=NAME_TIMEOUT_SECONDS)
        except Refused:
            answer = {}  # there is none
        except MatrixError as error:
            _log.debug("the display name is not known yet", problem=str(error))
            return
        self.name = fields.text(answer, "displayname", max_chars=MAX_NAME_CHARS) or ""
        self._is_name_known = True

    async def exchange_keys(self) -> None:
        """Make the requests for encryption keys that are due after a sync.

        After a login, our device's keys are published again: the homeserver may have dropped them.
        """
        logins = self._login.count
        if self._login.keys_due and self._logins_seen != logins:
            self._logins_seen = logins
            self.keys.republish_keys()
        await self.keys.exchange_keys()
        # after a login in between, the keys are due again
        if self._login.keys_due and self._login.count == logins and self.keys.are_published:
            self._login.mark_keys_published()

    def receive(self, sync: Json) -> None:
        """Store the encryption keys that a sync response contains.

        Call it before the next sync request, which acknowledges the response.

        Raises:
            StoreFailed: The keys could not be stored. Pass the same response again.
            StoreMoved: The file of the crypto store was moved away.
        """
        self._crypto.receive(sync)

    def decrypted(self, room_id: RoomId, raw: Json) -> Json:
        """Return the event, decrypted if it is encrypted and its key is known.

        Otherwise return ``raw`` itself.
        """
        if raw.get("type") != "m.room.encrypted":
            return raw
        return self._crypto.decrypt(room_id, raw) or raw

    def members_changed(self, room_id: RoomId) -> None:
        """Drop the cached members of the room. Call it when they may have changed."""
        self._drop_member_count(room_id)
        self.keys.members_changed(room_id)

    def forget(self, room_id: RoomId) -> None:
        """Drop all cached data of a room that the bot has left."""
        self._drop_member_count(room_id)
        self.keys.forget(room_id)

    async def is_group(self, room_id: RoomId) -> bool:
        """Return whether more than two users are in the room or invited to it.

        The number of users is cached until ``members_changed`` is called for the room. False if the
        homeserver refuses the request.
        """
        people = self._member_counts.get(room_id)
        if people is None:
            try:
                people = await self._fetch_member_count(room_id)
            except Refused:
                return False
        return people > 2  # noqa: PLR2004  # a person and the bot

    async def wait_for_to_device(self) -> None:
        """Wait until a sync response brings to-device messages, which may contain room keys."""
        await self._crypto.wait_for_to_device()

    async def send(
        self, room_id: RoomId, event_type: str, content: Json, transaction_id: TransactionId
    ) -> EventId:
        """Send an event and return its event id.

        The event is encrypted if the room is encrypted, unless it is a reaction.

        Args:
            room_id: The room.
            event_type: The type of the event before encryption.
            content: The content before encryption. The bot's user id is added under ``BY_KEY``.
            transaction_id: The same for each attempt, so that the homeserver creates only one
                event.

        Raises:
            MatrixError: The event was not sent, or the homeserver's response did not arrive.
        """
        content = content | {BY_KEY: self.user_id}
        if event_type != "m.reaction" and await self.is_encrypted(room_id):
            event_type, content = await self.keys.encrypt(room_id, event_type, content)
        path = endpoint("rooms", room_id, "send", event_type, transaction_id)
        answer = await self._http.request("PUT", path, body=content, may_repeat=False)
        event_id = fields.event_id(answer, "event_id")
        if event_id is None:
            raise Unreachable(self._http.url, "its answer to a send lacks event_id")
        return event_id

    async def join(self, room_id: RoomId) -> None:
        """Join the room. It changes nothing if the bot is in the room already."""
        path = endpoint("rooms", room_id, "join")
        await self._http.request("POST", path, body={}, timeout_seconds=JOIN_TIMEOUT_SECONDS)

    async def leave(self, room_id: RoomId) -> None:
        """Leave the room, or decline an invite. It is no error if the bot is not in the room."""
        path = endpoint("rooms", room_id, "leave")
        try:
            await self._http.request("POST", path, body={}, timeout_seconds=JOIN_TIMEOUT_SECONDS)
        except Refused as refused:
            if refused.status not in (403, 404):
                raise

    async def page(
        self, room_id: RoomId, *, direction: str, start: str | None, end: str | None = None
    ) -> Page:
        """Return one page of the room's history, with its events decrypted.

        If an event of the page turns encryption on, the room is marked as encrypted: a limited sync
        response omits such an event.

        Args:
            room_id: The room.
            direction: ``f`` for oldest first, ``b`` for newest first.
            start: The token at which the page begins. None for the beginning of the history, or for
                its end if the direction is ``b``.
            end: The token at which to stop; None for no limit.

        Raises:
            MatrixError: The request failed.
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
        """Return an event, decrypted if possible; None if the homeserver refuses to return it."""
        path = endpoint("rooms", room_id, "event", event_id)
        try:
            return self.decrypted(room_id, await self._http.request("GET", path))
        except Refused:
            return None

    async def is_encrypted(self, room_id: RoomId) -> bool:
        """Return whether the room is encrypted.

        The homeserver is asked only once for each room. Afterwards, ``receive`` and ``page`` notice
        when encryption is turned on.

        Raises:
            MatrixError: The request failed.
        """
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

    async def _fetch_member_count(self, room_id: RoomId) -> int:
        """Request and return the number of users who are in the room or invited.

        The number is cached, unless the members changed during the request.
        """
        counting = self._counting.setdefault(room_id, object())
        people = await self.rooms.member_count(room_id)
        if self._counting.get(room_id) is counting:
            del self._counting[room_id]
            self._member_counts[room_id] = people
        return people

    def _drop_member_count(self, room_id: RoomId) -> None:
        self._member_counts.pop(room_id, None)
        self._counting.pop(room_id, None)


def _filter(*, first: bool, process_id: str) -> str:
    """Return the sync filter as JSON.

    The filter contains an id of this process, so that no other process sends the same request.
    Synapse caches a sync response for two minutes: without the id, a process that restarts would
    get the cached response, which lacks edits and redactions since then.

    Args:
        first: Whether it is for a first sync, which needs no history: its limit is then 1 event.
        process_id: The id of this process.
    """
    room = _FILTER["room"]
    timeline = room["timeline"] | ({"limit": 1} if first else {})
    presence = {"presence": _FILTER["presence"] | {"not_types": [process_id]}}
    return json.dumps(
        _FILTER | presence | {"room": room | {"timeline": timeline}}, separators=(",", ":")
    )
