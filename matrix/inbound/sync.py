"""Intake: the sync loop, which turns a homeserver's answers into batches, in order."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import structlog
from attrs import evolve

from fsm.failpoints import reach
from fsm.values.bounded import BoundedDict
from fsm.values.ids import EventId, RoomId, SyncToken, UserId
from fsm.values.inbound import Inbound
from fsm.values.messages import QuestionRef
from matrix.api import fields
from matrix.api.errors import Refused, StoreFailed
from matrix.api.homeserver import SYNC_WAIT_MS, Homeserver
from matrix.crypto.olm import room_events
from matrix.inbound.batch import (
    RoomItem,
    SyncBatch,
    SyncEvent,
    TimelineGap,
    join_in_state,
    join_in_timeline,
    slice_timeline,
)
from matrix.inbound.claims import enter_replacement, invite_of, replaced_by
from matrix.inbound.edits import Amendment, amendments
from matrix.inbound.gaps import missing_events
from matrix.inbound.parse import parse, parse_invite, parse_leave
from matrix.inbound.transcript import Transcript
from matrix.outbound.markdown import read_mark

_log = structlog.get_logger(__name__)

Json = dict[str, Any]


KEYLESS_SHARE = 0.05
"""This share of the usual time is waited for the key of somebody whose last key stayed away."""

MAX_KEYLESS = 1_000
"""Maximum number of pairs of room and person that are kept whose last key did not arrive."""

KEY_WAITS = 6
"""So often an encrypted event waits for its key, as long as no sync can bring it."""


async def _at_once() -> None:
    """Wait for nothing."""


async def _in_none(_room_id: RoomId) -> bool:
    """Whether the bot was in the room: in none."""
    return False


class Intake:
    """Reads everything that happens in the bot's rooms, from a token on.

    Args:
        homeserver: Where it happens.
        since: The token from which on nothing has been handled; None for the first sync ever,
            which answers no history.
        amend: Is told of each edit and redaction, before the batch in which it came.
        take: Is given each batch, in order. The next is asked for when it has returned.
        ready: Is awaited once, after the first sync.
        key_wait_seconds: How long an encrypted event waits for its key.
        was_joined: Whether the bot was in a room at ``since``.
    """

    def __init__(  # noqa: PLR0913  # two collaborators and four values
        self,
        homeserver: Homeserver,
        *,
        since: SyncToken | None,
        take: Callable[[SyncBatch], Awaitable[None]],
        amend: Callable[[Amendment], None] = lambda _: None,
        ready: Callable[[], Awaitable[None]] = _at_once,
        was_joined: Callable[[RoomId], Awaitable[bool]] = _in_none,
        key_wait_seconds: float = 10.0,
    ) -> None:
        self._homeserver = homeserver
        self._since = since
        self._take = take
        self._amend = amend
        self._ready = ready
        self._was_joined = was_joined
        self._memberships: dict[RoomId, bool] = {}
        self._key_wait_seconds = key_wait_seconds
        self._is_handing = False
        self._keyless = BoundedDict[tuple[RoomId, UserId], None](MAX_KEYLESS)

    async def run(self) -> None:
        """Sync until cancelled."""
        first = True
        while True:
            await self._homeserver.learn_name()
            sync = await self._homeserver.retry(partial(self._sync, wait=not first))
            batch = await self._batch(sync)
            reach("batch.hand.before")
            self._is_handing = True
            await self._take(batch)
            self._is_handing = False
            reach("batch.hand.after")
            self._since = batch.next
            if first:
                first = False
                await self._ready()
            await self._homeserver.upkeep()

    async def fill(self, gap: TimelineGap) -> AsyncIterator[Inbound]:
        """The events that a gap hides, in order."""
        async for raw in missing_events(self._homeserver, gap, self._amend):
            if (inbound := self._parse(gap.room_id, raw)) is not None:
                yield inbound

    async def event(self, room_id: RoomId, event_id: EventId) -> Inbound | None:
        """One event by its id; None if it is gone, or redacted."""
        raw = await self._homeserver.retry(lambda: self._homeserver.event(room_id, event_id))
        return next(self._heard(room_id, () if raw is None else (raw,)), None)

    async def is_group(self, room_id: RoomId) -> bool:
        """Whether more than two people are in the room, or invited to it."""
        return await self._homeserver.read_or_default(
            room_id, lambda: self._homeserver.is_group(room_id), False
        )

    async def enter_replacement(self, room_id: RoomId, to: RoomId, *, stays: bool) -> bool:
        """Enter ``to``; whether it says that it replaces ``room_id``. If not, it may be left."""
        return await self._homeserver.retry(
            lambda: enter_replacement(self._homeserver, room_id, to, stays=stays)
        )

    async def invite(self, room_id: RoomId) -> Inbound | None:
        """The invite that brought the bot into the room, as the room has it."""
        return await self._homeserver.retry(lambda: invite_of(self._homeserver, room_id))

    async def replaces(self, room_id: RoomId) -> RoomId | None:
        """The room that this one replaces, if both rooms say so."""
        return await self._homeserver.retry(lambda: replaced_by(self._homeserver, room_id))

    async def question_mark(self, room_id: RoomId, event_id: EventId) -> QuestionRef | None:
        """What a message of the bot's says of itself, if it is a question."""
        raw = await self._homeserver.read_or_default(
            room_id, lambda: self._homeserver.event(room_id, event_id), None
        )
        if raw is None or fields.user_id(raw, "sender") != self._homeserver.user_id:
            return None
        return read_mark(fields.fields(raw, "content"))

    async def last_question(self, room_id: RoomId, sender: UserId) -> Inbound | None:
        """What the sender has last asked an agent in the room; None where it can't be read."""
        return await self._homeserver.read_or_default(
            room_id, lambda: self._last_question(room_id, sender), None
        )

    async def decrypt_later(self, inbound: Inbound) -> Inbound | None:
        """The event once its key has come; itself if the key stays away; None if it is no text.

        Who has sent something whose key stayed away is waited for less long in that room, and
        nobody in a room that is not encrypted: no client seals anything there.
        """
        place = inbound.room_id, inbound.sender
        readable = self._readable(inbound)
        if readable is inbound and not await self._is_encrypted(inbound.room_id):
            return inbound
        wait_seconds = self._key_wait_seconds
        if place in self._keyless:
            wait_seconds *= KEYLESS_SHARE
        for _ in range(1 if place in self._keyless else KEY_WAITS):
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_seconds):
                    while (readable := self._readable(inbound)) is inbound:
                        await self._homeserver.new_keys()
            if readable is not inbound or not self._is_handing:
                break  # while a batch waits for its places, no sync can bring the key
        self._note_keys(place, came=readable is not inbound)
        return readable

    async def _is_encrypted(self, room_id: RoomId) -> bool:
        try:
            return await self._homeserver.retry(lambda: self._homeserver.is_encrypted(room_id))
        except Refused:  # the bot is not in the room any more
            return False

    def _note_keys(self, place: tuple[RoomId, UserId], *, came: bool) -> None:
        if came:
            self._keyless.pop(place, None)
        else:
            self._keyless[place] = None

    async def _last_question(self, room_id: RoomId, sender: UserId) -> Inbound | None:
        async for exchange in Transcript(self._homeserver, room_id).exchanges():
            if exchange.question.sender == sender:
                return exchange.question
        return None

    def _readable(self, inbound: Inbound) -> Inbound | None:
        raw = self._homeserver.decrypted(inbound.room_id, inbound.raw)
        return inbound if raw is inbound.raw else next(self._heard(inbound.room_id, (raw,)), None)

    async def _sync(self, *, wait: bool) -> Json:
        """One response, its keys stored before the next request acknowledges them."""
        reach("sync.request.before")
        sync = await self._homeserver.sync(self._since, SYNC_WAIT_MS if wait else 0)
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
            self._note(room_id, room)
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
        """The bot's coming into the room, if it was not in it before, and whether it has come.

        What the bot knows decides, not what a response repeats. It may have left and come again.
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
            yield evolve(part.gap, tail=self._told(room_id, part.gap.tail))
        yield from map(SyncEvent, self._heard(room_id, part.events))

    def _heard(self, room_id: RoomId, events: Iterable[Json]) -> Iterator[Inbound]:
        """What these events say to the bot.

        Every event passes here, whether it came with a sync response, by its id, or once its key
        was there.
        """
        for raw in self._told(room_id, events):
            if (inbound := self._parse(room_id, raw)) is not None:
                yield inbound

    def _told(self, room_id: RoomId, events: Iterable[Json]) -> tuple[Json, ...]:
        """These events, decrypted. All edits and redactions among them have been told.

        ``missing_events`` does the same for those of a gap.
        """
        readable = tuple(self._homeserver.decrypted(room_id, raw) for raw in events)
        for raw in readable:
            for amendment in amendments(raw, room_id, self._homeserver.decrypted):
                self._amend(amendment)
        return readable

    def _parse(self, room_id: RoomId, raw: Json) -> Inbound | None:
        homeserver = self._homeserver
        return parse(raw, room_id=room_id, bot=homeserver.user_id, name=homeserver.name)

    def _note(self, room_id: RoomId, room: Json) -> None:
        """Whether other people are in the room than before, for whom its keys are."""
        limited = fields.flag(fields.fields(room, "timeline"), "limited")
        if limited or any(event.get("type") == "m.room.member" for event in room_events(room)):
            self._homeserver.members_changed(room_id)
