"""From an event's JSON to what a flow may answer. Pure and total: no JSON makes it raise."""

from typing import Any

from fsm.ids import EventId, RoomId, UserId
from fsm.inbound import Inbound, Kind
from matrix.text import TURN_KEY

MAX_BODY_CHARS = 65_536
"""Longer bodies are cut here. A homeserver that keeps to the specification sends none."""

_TEXT_TYPES = ("m.text", "m.emote")


def parse(raw: object, *, room_id: RoomId, bot: UserId) -> Inbound | None:
    """What the event says to the bot, or None if it is nothing that wants an answer.

    Args:
        raw: The event as JSON, decrypted if it could be.
        room_id: The room in which it happened.
        bot: The bot's own user id. Its own messages are not answered.
    """
    if not isinstance(raw, dict):
        return None
    event_id, sender = raw.get("event_id"), raw.get("sender")
    if not isinstance(event_id, str) or not isinstance(sender, str) or not event_id:
        return None
    kind, body = _kind_and_body(raw, sender, bot)
    if kind is None:
        return None
    return Inbound(
        event_id=EventId(clean(event_id)),
        room_id=room_id,
        sender=UserId(clean(sender)),
        kind=kind,
        body=body,
        sent_at_ms=_integer(raw.get("origin_server_ts")),
        raw=raw,
    )


def parse_invite(room_id: RoomId, invite: object, *, bot: UserId) -> Inbound:
    """The invite to ``room_id``, whose sender is "" where the homeserver does not name it.

    It has no event id of its own. The one that it gets is the same for as long as the invite is
    the same, so that an invite that comes again is known.
    """
    event = next((e for e in _stripped_events(invite) if _is_membership(e, bot, "invite")), {})
    sender = event.get("sender")
    stamp = event.get("event_id") or event.get("origin_server_ts") or ""
    return Inbound(
        event_id=EventId(clean(f"invite:{room_id}:{stamp}" if stamp else f"invite:{room_id}")),
        room_id=room_id,
        sender=UserId(clean(sender) if isinstance(sender, str) else ""),
        kind=Kind.INVITED,
        sent_at_ms=_integer(event.get("origin_server_ts")),
        raw=event,
    )


def is_own_join(raw: object, bot: UserId) -> bool:
    """Whether this is the bot's coming into the room, not a change of its name in it."""
    if not isinstance(raw, dict) or not _is_membership(raw, bot, "join"):
        return False
    return _previous_membership(raw) != "join"


def is_own_invite(raw: object, bot: UserId) -> bool:
    """Whether this is the bot's being invited."""
    return isinstance(raw, dict) and _is_membership(raw, bot, "invite")


def clean(text: str) -> str:
    """The text with what can't be encoded (lone surrogates) replaced by question marks."""
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text


def mapping(value: object) -> dict[str, Any]:
    """``value`` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def events(value: object) -> list[dict[str, Any]]:
    """The JSON objects in ``value`` if it is an array, else none."""
    return [e for e in value if isinstance(e, dict)] if isinstance(value, list) else []


def _kind_and_body(raw: dict[str, Any], sender: str, bot: UserId) -> tuple[Kind | None, str]:
    if is_own_join(raw, bot):
        return Kind.JOINED, ""
    content = mapping(raw.get("content"))
    relation = mapping(content.get("m.relates_to"))
    is_bots = sender == bot or TURN_KEY in content  # two such bots in a room would never stop
    if is_bots or relation.get("rel_type") == "m.replace" or "state_key" in raw:
        return None, ""
    match raw.get("type"):
        case "m.room.encrypted" if content:
            return Kind.UNREADABLE, ""
        case "m.room.message":
            body = _body(content, relation)
            return (None, "") if body is None else (Kind.TEXT, body)
    return None, ""


def _body(content: dict[str, Any], relation: dict[str, Any]) -> str | None:
    body = content.get("body")
    if content.get("msgtype") not in _TEXT_TYPES or not isinstance(body, str):
        return None
    text = clean(body[:MAX_BODY_CHARS])
    return _without_fallback(text) if "m.in_reply_to" in relation else text


def _without_fallback(body: str) -> str:
    """The body without the quote that older clients put before a reply."""
    lines = body.split("\n")
    quoted = 0
    while quoted < len(lines) and lines[quoted].startswith(">"):
        quoted += 1
    if quoted == 0 or not lines[0].startswith("> <") or quoted == len(lines):
        return body
    start = quoted + 1 if not lines[quoted] else quoted
    return "\n".join(lines[start:])


def _stripped_events(invite: object) -> list[dict[str, Any]]:
    return events(mapping(mapping(invite).get("invite_state")).get("events"))


def _is_membership(raw: dict[str, Any], user_id: UserId, membership: str) -> bool:
    return (
        raw.get("type") == "m.room.member"
        and raw.get("state_key") == user_id
        and mapping(raw.get("content")).get("membership") == membership
    )


def _previous_membership(raw: dict[str, Any]) -> object:
    unsigned = mapping(raw.get("unsigned"))
    previous = mapping(unsigned.get("prev_content") or raw.get("prev_content"))
    return previous.get("membership")


def _integer(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
