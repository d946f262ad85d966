"""Reads events, and further data about rooms, from the homeserver."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from fsm.values.bounded import BoundedDict
from fsm.values.ids import EventId, RoomId, UserId
from fsm.values.inbound import Inbound
from fsm.values.messages import QuestionRef
from matrix.api import fields
from matrix.api.content import read_question_ref
from matrix.api.errors import Refused
from matrix.api.homeserver import Homeserver
from matrix.inbound.batch import TimelineGap
from matrix.inbound.edits import MessageChange, amendments
from matrix.inbound.gaps import missing_events
from matrix.inbound.parse import parse
from matrix.inbound.room_checks import confirmed_predecessor, enter_replacement, invite_of
from matrix.inbound.transcript import Transcript

Json = dict[str, Any]

KEYLESS_SHARE = 0.05
"""Factor on the wait for an event's key, if the key of the sender's last one did not arrive."""

MAX_KEYLESS = 1_000
"""Maximum number of pairs of room and sender for which a missing key is remembered."""

KEY_WAITS = 6
"""Maximum waits for the key of one encrypted event. After a wait, another one follows only if the
sync is paused, so that no key can arrive."""


class HomeserverReader:
    """Reads, decrypts and parses events, and reports edits and redactions.

    Args:
        homeserver: The homeserver.
        amend: Called with each edit and redaction, before the events that came with it are
            returned.
        key_wait_seconds: How long to wait for the key of an encrypted event.

    Attributes:
        is_sync_paused: Whether the sync loop waits until its receiver has taken a batch, so that no
            key can arrive. Set by the sync loop.
    """

    def __init__(
        self,
        homeserver: Homeserver,
        *,
        amend: Callable[[MessageChange], None] = lambda _: None,
        key_wait_seconds: float = 10.0,
    ) -> None:
        self._homeserver = homeserver
        self._amend = amend
        self._key_wait_seconds = key_wait_seconds
        self._keyless = BoundedDict[tuple[RoomId, UserId], None](MAX_KEYLESS)
        self.is_sync_paused = False

    async def fill(self, gap: TimelineGap) -> AsyncIterator[Inbound]:
        """Yield the parsed events in a gap of a room's timeline, oldest first."""
        async for raw in missing_events(self._homeserver, gap, self._amend):
            if (inbound := self._parse(gap.room_id, raw)) is not None:
                yield inbound

    async def event(self, room_id: RoomId, event_id: EventId) -> Inbound | None:
        """Return one event by its id.

        Returns:
            None if the event is gone or redacted, or if the bot does not handle it.
        """
        raw = await self._homeserver.retry(lambda: self._homeserver.event(room_id, event_id))
        return next(self.parse_events(room_id, () if raw is None else (raw,)), None)

    async def is_group(self, room_id: RoomId) -> bool:
        """Return whether more than two users are in the room or invited to it.

        False if that can't be read.
        """
        return await self._homeserver.read_or_default(
            room_id, lambda: self._homeserver.is_group(room_id), False
        )

    async def enter_replacement(self, room_id: RoomId, to: RoomId, *, stays: bool) -> bool:
        """Join the replacement of a room; return whether the replacement confirms that it is one.

        Args:
            room_id: The room with the tombstone.
            to: The room that the tombstone names.
            stays: Whether to stay in a replacement that does not confirm it, because the bot was in
                it before.
        """
        return await self._homeserver.retry(
            lambda: enter_replacement(self._homeserver, room_id, to, stays=stays)
        )

    async def invite(self, room_id: RoomId) -> Inbound | None:
        """Return the invite that led to the bot's current membership, from the room's state.

        Returns:
            None if the bot was not invited, or if the invite can't be read.
        """
        return await self._homeserver.retry(lambda: invite_of(self._homeserver, room_id))

    async def predecessor(self, room_id: RoomId) -> RoomId | None:
        """Return the room that ``room_id`` replaces; None unless both rooms say so."""
        return await self._homeserver.retry(
            lambda: confirmed_predecessor(self._homeserver, room_id)
        )

    async def question_mark(self, room_id: RoomId, event_id: EventId) -> QuestionRef | None:
        """Return the reference in a message of the bot that marks it as a flow's question.

        Returns:
            None if the message is not the bot's, is no question of a flow, or can't be read.
        """
        raw = await self._homeserver.read_or_default(
            room_id, lambda: self._homeserver.event(room_id, event_id), None
        )
        if raw is None or fields.user_id(raw, "sender") != self._homeserver.user_id:
            return None
        return read_question_ref(fields.fields(raw, "content"))

    async def last_question(self, room_id: RoomId, sender: UserId) -> Inbound | None:
        """Return the sender's last question in the room that has an answer of an agent.

        Returns:
            None if there is no such question, or if the room can't be read.
        """
        return await self._homeserver.read_or_default(
            room_id, lambda: self._last_question(room_id, sender), None
        )

    async def decrypt_later(self, inbound: Inbound) -> Inbound | None:
        """Wait for the key of an encrypted event, then decrypt and parse the event.

        The wait is shorter for a sender whose last key in the room did not arrive. In an
        unencrypted room, there is no wait.

        Args:
            inbound: The event, which could not be decrypted when it arrived.

        Returns:
            The decrypted event; ``inbound`` itself if the key did not arrive; None if the bot does
            not handle the decrypted event.
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
                        await self._homeserver.wait_for_to_device()
            if readable is not inbound or not self.is_sync_paused:
                break  # while a batch waits to be taken, no sync can bring the key
        self._note_keys(place, came=readable is not inbound)
        return readable

    def parse_events(self, room_id: RoomId, events: Iterable[Json]) -> Iterator[Inbound]:
        """Decrypt and parse events, and yield those that the bot handles.

        It is used for the events of a sync response, events read by id, and events whose key
        arrived later. ``fill`` parses the events of a gap.
        """
        for raw in self.decrypt(room_id, events):
            if (inbound := self._parse(room_id, raw)) is not None:
                yield inbound

    def decrypt(self, room_id: RoomId, events: Iterable[Json]) -> tuple[Json, ...]:
        """Decrypt events, report their edits and redactions to ``amend``, and return the events.

        An event that can't be decrypted is returned unchanged. ``missing_events`` does the same for
        the events of a gap.
        """
        readable = tuple(self._homeserver.decrypted(room_id, raw) for raw in events)
        for raw in readable:
            for amendment in amendments(raw, room_id, self._homeserver.decrypted):
                self._amend(amendment)
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
        return (
            inbound
            if raw is inbound.raw
            else next(self.parse_events(inbound.room_id, (raw,)), None)
        )

    def _parse(self, room_id: RoomId, raw: Json) -> Inbound | None:
        homeserver = self._homeserver
        return parse(raw, room_id=room_id, bot=homeserver.user_id, name=homeserver.name)
