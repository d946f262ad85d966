"""Edits and redactions of messages."""

from collections.abc import Callable, Iterator
from typing import Any

from attrs import frozen

from fsm.values.ids import EventId, RoomId, UserId
from matrix.api import fields
from matrix.inbound.parse import redaction_target, text_of


@frozen(kw_only=True)
class MessageChange:
    """An edit or a redaction of a message.

    Args:
        target: The event id of the message.
        room_id: The room.
        sender: The sender of the edit or redaction. An edit is valid only if the message has the
            same sender.
        event_id: The event id of the edit or redaction.
        text: The new text; None for a redaction.
        sent_at_ms: The ``origin_server_ts`` of the edit or redaction, Unix time in milliseconds. Of
            several edits, the one with the latest time is valid (client-server API, "Event
            replacements"), in whatever order they are read.
    """

    target: EventId
    room_id: RoomId
    sender: UserId
    event_id: EventId
    text: str | None
    sent_at_ms: int = 0


def amendments(
    raw: dict[str, Any],
    room_id: RoomId,
    decrypted: Callable[[RoomId, dict[str, Any]], dict[str, Any]],
) -> Iterator[MessageChange]:
    """Yield the edits and redactions of messages that an event contains.

    These are the event itself, if it is an edit or a redaction, and an edit that the homeserver has
    bundled with it.

    Args:
        raw: The event, decrypted.
        room_id: The room.
        decrypted: Called with the room id and the bundled edit (client-server API, "Aggregations of
            child events"); returns the edit, decrypted if possible.
    """
    bundled = fields.fields(raw, "unsigned", "m.relations", "m.replace")
    for event in (raw, decrypted(room_id, bundled) if bundled else bundled):
        if (amendment := parse_amendment(event, room_id)) is not None:
            yield amendment


def parse_amendment(raw: object, room_id: RoomId) -> MessageChange | None:
    """Parse a decrypted event that edits or redacts a message; return None for any other event.

    Args:
        raw: The event as JSON.
        room_id: The room.
    """
    if not isinstance(raw, dict) or "state_key" in raw:
        return None
    event_id, sender = fields.event_id(raw, "event_id"), fields.user_id(raw, "sender")
    if event_id is None or sender is None:
        return None
    target, text = _target_and_text(raw)
    if target is None:
        return None
    return MessageChange(
        target=target,
        room_id=room_id,
        sender=sender,
        event_id=event_id,
        text=text,
        sent_at_ms=fields.number(raw, "origin_server_ts"),
    )


def _target_and_text(raw: dict[str, Any]) -> tuple[EventId | None, str | None]:
    if raw.get("type") == "m.room.redaction":
        return redaction_target(raw), None
    content = fields.fields(raw, "content")
    relation = fields.fields(content, "m.relates_to")
    target = fields.event_id(relation, "event_id")
    text = text_of(fields.fields(content, "m.new_content"))
    is_edit = raw.get("type") == "m.room.message" and relation.get("rel_type") == "m.replace"
    if not is_edit or target is None or text is None:
        return None, None
    return target, text
