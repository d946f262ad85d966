"""Checks what invites and tombstones claim about a room against that room's own state."""

from collections.abc import AsyncIterator

import structlog
from attrs import evolve, frozen

from durable.records import RoomRecord, room_key
from fsm import EventKind, Inbound
from fsm.values.ids import EventId, RoomId
from fsm.values.inbound import RoomJoined, RoomUpgraded
from matrix import HomeserverReader
from strandline.engine.retrying_store import RetryingStore

_log = structlog.get_logger(__name__)


@frozen
class RoomClaims:
    """Checks who really invited the bot to a room, and whether a room really replaces another.

    Args:
        store: The store of the room records.
        reader: Reads the rooms from the homeserver.
    """

    store: RetryingStore
    reader: HomeserverReader

    async def record(self, room_id: RoomId) -> RoomRecord | None:
        """Return the room's record; None if the room has none."""
        return (await self.store.read(RoomRecord, room_key(room_id))).value

    async def enter_replacement(self, inbound: RoomUpgraded) -> bool:
        """Join the room that a tombstone names; return whether it confirms the replacement.

        False if the tombstone's room has no record.

        A tombstone may name any room. The bot joins the named room to check it. If that room does
        not confirm the replacement, has no record, and nobody has invited the bot, the bot leaves
        it again.
        """
        old, new = inbound.room_id, inbound.replacement
        known, known_new = await self.record(old), await self.record(new)
        if known is None:
            return False
        return await self.reader.enter_replacement(old, new, stays=known_new is not None)

    async def corrections(self, inbound: Inbound) -> AsyncIterator[Inbound]:
        """Yield the events to handle before the first event of a new room.

        Handle each yielded event before requesting the next one, which depends on its result.

        The bot joins a room because of a stripped invite, which a homeserver may forge. If the
        room's state names another inviter, two events are yielded: one that undoes the forged
        invite, and the true invite. If the room replaces another room, the bot's join is yielded
        with that room: the bot may have been invited only after the tombstone was sent.

        Args:
            inbound: The first event of the room.
        """
        room = await self._new_room(inbound.room_id)
        if room is None:
            return
        invite = await self.reader.invite(inbound.room_id)
        if invite is not None and invite.sender != room.matrix_user_id:
            _log.warning("an invite named the wrong inviter", room_id=inbound.room_id)
            void = EventId(f"void:{invite.event_id}")
            yield evolve(invite, event_id=void, kind=EventKind.LEFT)
            yield evolve(invite, event_id=EventId(f"true:{invite.event_id}"))
            room = await self._new_room(inbound.room_id)
        replaced = None if room is None else await self.reader.predecessor(inbound.room_id)
        if room is not None and replaced is not None:
            event_id = EventId(f"replaces:{inbound.room_id}")
            owner = room.matrix_user_id or inbound.sender
            yield RoomJoined(
                event_id=event_id,
                room_id=inbound.room_id,
                sender=owner,
                sent_at_ms=inbound.sent_at_ms,
                thread=inbound.thread,
                replaces=replaced,
            )

    async def _new_room(self, room_id: RoomId) -> RoomRecord | None:
        """Return the room's record if it contains only the claimed inviter; None otherwise."""
        room = await self.record(room_id)
        if room is None or room.matrix_user_id is None:
            return None
        return room if room == RoomRecord(matrix_user_id=room.matrix_user_id) else None
