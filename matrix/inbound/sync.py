"""The sync loop: reads the homeserver's sync responses as batches, in order."""

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Protocol

import structlog
from attrs import evolve

from fsm.failpoints import reach
from fsm.values.ids import RoomId, SyncToken
from fsm.values.inbound import Inbound
from matrix.api import fields
from matrix.api.errors import StoreFailed
from matrix.api.homeserver import SYNC_TIMEOUT_MS, Homeserver
from matrix.crypto.olm import room_events
from matrix.inbound.batch import (
    RoomItem,
    SyncBatch,
    SyncEvent,
    join_in_state,
    join_in_timeline,
    slice_timeline,
)
from matrix.inbound.parse import parse_invite, parse_leave
from matrix.inbound.reader import HomeserverReader

_log = structlog.get_logger(__name__)

Json = dict[str, Any]


async def _in_none(_room_id: RoomId) -> bool:
    """Return False: by default, the bot was not in any room before."""
    return False


class BatchReceiver(Protocol):
    """Receives the batches of a ``SyncLoop``."""

    async def take(self, batch: SyncBatch) -> None:
        """Take a batch. The next sync request is sent only after this returns."""

    async def started(self) -> None:
        """Called once, after ``take`` has returned for the first batch."""


class SyncLoop:
    """Requests sync responses one after the other, and passes each on as a batch.

    Args:
        homeserver: The homeserver.
        reader: Decrypts and parses the events.
        since: The sync token at which to continue: everything before it has been handled. None for
            the first sync ever, which handles no history.
        was_joined: Called with a room id; returns whether the bot was in that room at ``since``.
    """

    def __init__(
        self,
        homeserver: Homeserver,
        reader: HomeserverReader,
        *,
        since: SyncToken | None,
        was_joined: Callable[[RoomId], Awaitable[bool]] = _in_none,
    ) -> None:
        self._homeserver = homeserver
        self._reader = reader
        self._since = since
        self._was_joined = was_joined
        self._memberships: dict[RoomId, bool] = {}

    async def run(self, receiver: BatchReceiver) -> None:
        """Sync until cancelled, and hand each batch to ``receiver`` in order."""
        first = True
        while True:
            await self._homeserver.fetch_name()
            sync = await self._homeserver.retry(partial(self._sync, wait=not first))
            batch = await self._batch(sync)
            reach("batch.hand.before")
            self._reader.is_sync_paused = True
            await receiver.take(batch)
            self._reader.is_sync_paused = False
            reach("batch.hand.after")
            self._since = batch.next
            if first:
                first = False
                await receiver.started()
            await self._homeserver.exchange_keys()

    async def _sync(self, *, wait: bool) -> Json:
        """Request one sync response, store its keys, and return the response.

        The keys are stored first, because the next request acknowledges them.

        Args:
            wait: Whether the homeserver may wait for new events before it responds.

        Raises:
            MatrixError: The request failed, or the keys can't be stored. Try again with the same
                token.
        """
        reach("sync.request.before")
        sync = await self._homeserver.sync(self._since, SYNC_TIMEOUT_MS if wait else 0)
        reach("sync.received")
        try:
            self._homeserver.receive(sync)
        except StoreFailed as failed:
            _log.error("keys can't be stored, the sync is read again", problem=str(failed))
            raise
        reach("sync.keys.stored")
        return sync

    async def _batch(self, sync: Json) -> SyncBatch:
        invites = list(self._invites(sync))
        items: list[RoomItem] = [*invites]
        memberships: dict[RoomId, bool] = {}
        entered: set[RoomId] = set()
        for room_id, room in fields.rooms(sync, "join"):
            self._drop_changed_members(room_id, room)
            join, has_come = await self._join(room_id, room)
            if self._since is None or has_come:
                memberships[room_id] = True
            if join is not None:
                entered.add(room_id)
            if self._since is not None:
                items += self._room_items(room_id, room, self._since, join)
        for room_id, inbound in self._departures(sync):
            memberships[room_id] = False
            if self._since is not None:
                items.append(SyncEvent(inbound))
        self._memberships |= memberships
        moved = memberships.keys() - entered
        return SyncBatch(
            self._since,
            SyncToken(sync["next_batch"]),
            tuple(items),
            memberships,
            fixed=frozenset([*moved, *(invite.room_id for invite in invites)]),
            entered=frozenset(entered),
        )

    async def _join(self, room_id: RoomId, room: Json) -> tuple[Json | None, bool]:
        """Return the bot's join of the room, and whether the bot has joined since the last sync.

        Whether the bot was a member at the last sync is taken from the stored memberships, because
        a response can repeat an old join.

        Returns:
            The bot's join, or None if the bot was a member at the last sync; and whether there is a
            new join. A member can have a new join too, if it left and joined again.
        """
        bot = self._homeserver.user_id
        in_timeline = join_in_timeline(room, bot)
        join = in_timeline or join_in_state(room, bot)
        if join is None:
            return None, False
        if room_id in self._memberships:
            was_in = self._memberships[room_id]
        else:
            was_in = await self._was_joined(room_id)
        return (None, in_timeline is not None) if was_in else (join, True)

    def _invites(self, sync: Json) -> Iterator[RoomItem]:
        for room_id, invite in fields.rooms(sync, "invite"):
            yield SyncEvent(parse_invite(room_id, invite, bot=self._homeserver.user_id))

    def _departures(self, sync: Json) -> Iterator[tuple[RoomId, Inbound]]:
        for room_id, room in fields.rooms(sync, "leave"):
            self._homeserver.forget(room_id)
            yield room_id, parse_leave(room_id, room, bot=self._homeserver.user_id)

    def _room_items(
        self, room_id: RoomId, room: Json, since: SyncToken, join: Json | None
    ) -> Iterator[RoomItem]:
        bot = self._homeserver.user_id
        part = slice_timeline(room_id, room, since=since, bot=bot, join=join)
        if part.gap is not None:
            yield evolve(part.gap, tail=self._reader.decrypt(room_id, part.gap.tail))
        yield from map(SyncEvent, self._reader.parse_events(room_id, part.events))

    def _drop_changed_members(self, room_id: RoomId, room: Json) -> None:
        """Drop the cached members of the room if the response may have changed them.

        All current members must get the keys of the bot's next messages.
        """
        limited = fields.flag(fields.fields(room, "timeline"), "limited")
        if limited or any(event.get("type") == "m.room.member" for event in room_events(room)):
            self._homeserver.members_changed(room_id)
