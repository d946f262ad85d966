"""What reaches the bot from a homeserver, as plain values that need no Matrix library to make."""

from enum import Enum

from attrs import field, frozen

from fsm.ids import EventId, RoomId, UserId


class Kind(Enum):
    """What an inbound event is, as far as a flow cares."""

    TEXT = "text"
    """Something that a person wrote: ``m.text`` or ``m.emote``."""

    INVITED = "invited"
    """The bot was invited to the room; ``sender`` is who invited it."""

    JOINED = "joined"
    """The bot's own join of the room; ``sender`` is the bot."""

    UNREADABLE = "unreadable"
    """An encrypted event whose key has not arrived."""


@frozen(kw_only=True)
class Inbound:
    """One event, addressed to the bot, that wants handling exactly once.

    Args:
        event_id: Its id, the root of every transaction id that its handling needs.
        room_id: The room in which it happened.
        sender: Who sent it.
        kind: What it is.
        body: The text as the sender wrote it, without a reply's quoted fallback; empty where
            the kind has none.
        sent_at_ms: The origin homeserver's clock, Unix time in milliseconds. A claim, not a fact.
        raw: The event as the homeserver gave it, for what needs more (decrypting later).
    """

    event_id: EventId
    room_id: RoomId
    sender: UserId
    kind: Kind
    body: str = ""
    sent_at_ms: int = 0
    raw: dict[str, object] = field(factory=dict, eq=False, repr=False)
