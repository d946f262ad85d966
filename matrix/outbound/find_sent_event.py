"""Recognising an event of ours in a room, where the homeserver's own memory may not reach."""

from typing import Any

from fsm.values.ids import EventId, RoomId, TransactionId, UserId
from matrix.api import fields
from matrix.api.errors import Refused
from matrix.api.homeserver import Homeserver
from matrix.outbound.markdown import TURN_KEY

LOOK_PAGES = 5
"""So many pages of 100 events are looked through, from the newest on."""


async def find_sent(
    homeserver: Homeserver, room_id: RoomId, transaction_id: TransactionId
) -> EventId | None:
    """The event that was sent under this id in an earlier life, if it is in the room already.

    Homeservers forget transaction ids (Synapse after 24 hours, or with the device). Every event
    of ours therefore carries its own under a key of its content.
    """
    token: str | None = None
    for _ in range(LOOK_PAGES):
        try:
            page = await homeserver.page(room_id, direction="b", start=token)
        except Refused:
            return None
        for raw in page.events:
            event_id = fields.event_id(raw, "event_id")
            if event_id is not None and is_ours(raw, transaction_id, homeserver.user_id):
                return event_id
        if page.end is None or page.end == token:
            return None
        token = page.end
    return None


def is_ours(raw: dict[str, Any], transaction_id: TransactionId, bot: UserId) -> bool:
    """Whether the event is what the bot sent under this transaction id."""
    marked = fields.text(fields.fields(raw, "content"), TURN_KEY)
    known = fields.text(fields.fields(raw, "unsigned"), "transaction_id")
    return fields.user_id(raw, "sender") == bot and transaction_id in (marked, known)
