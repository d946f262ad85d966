"""Edits and redactions: what people do to messages that they have sent."""

from collections.abc import Callable, Iterator
from typing import Any

from attrs import frozen

from fsm.ids import EventId, RoomId, UserId
from matrix.parse import about_of_redaction, clean, integer, mapping, text_of


@frozen(kw_only=True)
class Amendment:
    """A message was edited, or taken back.

    Args:
        target: The message.
        room_id: Where it stands.
        sender: Who did it. An edit counts only if the message is theirs.
        event_id: The edit or the redaction.
        text: The new text; None if it was taken back.
        sent_at_ms: When it was made, as the sender's homeserver has it. Of two edits the later one
            counts (client-server API, "Event replacements"), in whatever order they are read.
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
) -> Iterator[Amendment]:
    """What the event does to another, and the edit of it that the homeserver bundles with it.

    Args:
        raw: The event, decrypted.
        room_id: Where it stands.
        decrypted: Decrypts a bundled edit (client-server API, "Aggregations of child events").
    """
    relations = mapping(mapping(raw.get("unsigned")).get("m.relations"))
    bundled = mapping(relations.get("m.replace"))
    for event in (raw, decrypted(room_id, bundled) if bundled else bundled):
        if (amendment := parse_amendment(event, room_id)) is not None:
            yield amendment


def parse_amendment(raw: object, room_id: RoomId) -> Amendment | None:
    """What the event, decrypted, does to another; None if it does nothing of the kind."""
    if not isinstance(raw, dict) or "state_key" in raw:
        return None
    event_id, sender = raw.get("event_id"), raw.get("sender")
    if not isinstance(event_id, str) or not isinstance(sender, str):
        return None
    target, text = _target_and_text(raw)
    if target is None:
        return None
    return Amendment(
        target=target,
        room_id=room_id,
        sender=UserId(clean(sender)),
        event_id=EventId(clean(event_id)),
        text=text,
        sent_at_ms=integer(raw.get("origin_server_ts")),
    )


def _target_and_text(raw: dict[str, Any]) -> tuple[EventId | None, str | None]:
    if raw.get("type") == "m.room.redaction":
        return about_of_redaction(raw), None
    content = mapping(raw.get("content"))
    relation = mapping(content.get("m.relates_to"))
    target = relation.get("event_id")
    text = text_of(mapping(content.get("m.new_content")))
    is_edit = raw.get("type") == "m.room.message" and relation.get("rel_type") == "m.replace"
    if not is_edit or not isinstance(target, str) or text is None:
        return None, None
    return EventId(clean(target)), text
