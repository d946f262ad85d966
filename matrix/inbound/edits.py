"""Edits and redactions of messages."""

from collections.abc import Callable, Iterator
from typing import Any

from attrs import frozen

from fsm.values.ids import EventId, RoomId, UserId
from matrix.api import fields
from matrix.inbound.parse import redaction_target, text_of


@frozen(kw_only=True)
class MessageChange:
    """A message was edited or redacted.

    Args:
        target: The message.
        room_id: The room.
        sender: Its sender. An edit is valid only if the message is by the same sender.
        event_id: The edit or the redaction.
        text: The new text; None for a redaction.
        sent_at_ms: Its ``origin_server_ts``. The edit with the latest is valid (client-server API,
            "Event replacements"), whatever the order in which edits are read.
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
    """Yield the event's amendment, if it is one, and the edit that is bundled with it.

    Args:
        raw: The event, decrypted.
        room_id: The room.
        decrypted: Decrypts a bundled edit (client-server API, "Aggregations of child events").
    """
    bundled = fields.fields(raw, "unsigned", "m.relations", "m.replace")
    for event in (raw, decrypted(room_id, bundled) if bundled else bundled):
        if (amendment := parse_amendment(event, room_id)) is not None:
            yield amendment


def parse_amendment(raw: object, room_id: RoomId) -> MessageChange | None:
    """The amendment that a decrypted event is; None if it is none."""
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
