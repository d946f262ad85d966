"""Parses event JSON into ``Inbound`` values. Pure and total: no JSON makes it raise."""

import html
import re
from itertools import islice
from typing import Any
from urllib.parse import unquote

from attrs import evolve

from fsm.values.ids import EventId, RoomId, UserId
from fsm.values.inbound import (
    ContentType,
    EventKind,
    Inbound,
    ReactionReceived,
    RoomJoined,
    RoomUpgraded,
    UnsupportedMessage,
    as_class,
)
from fsm.values.messages import Attachment, FileKind
from matrix.api import fields
from matrix.api.content import BY_KEY, TRANSACTION_ID_KEY
from matrix.api.fields import mapping, plain

MAX_BODY_CHARS = 65_536
"""Maximum characters of a body; a longer one, which violates the specification, is cut."""

MAX_NAME_CHARS = 255
"""Maximum characters of a file name; a longer one is cut."""

MAX_PILLS = 5
"""Maximum number of links to the bot in one message whose texts are read as names of the bot."""

MAX_URL_CHARS = 1_000
"""Maximum characters of a file's URL; a file with a longer one is ignored."""

_PILL = re.compile(r"""href=["']https://matrix\.to/#/([^"'?>]+)["'?][^>]{0,1000}>([^<]{0,255})""")
"""A matrix.to link, such as a link to a user, and its text (client-server API, "User, room, and
group mentions"). The parts of the pattern are disjoint and bounded, so that matching takes linear
time."""

_UNREAD_TYPES: dict[str, ContentType] = {
    "m.sticker": "sticker",
    "m.location": "location",
    "m.poll.start": "poll",
    "org.matrix.msc3381.poll.start": "poll",
}
"""Event types and ``msgtype`` values that the bot can't read but replies to, each with the
``content_type`` of its ``UnsupportedMessage``."""

_IGNORED_TYPES = (
    "",
    "m.notice",
    "m.text",
    "m.emote",
    "m.key.verification.request",
    "m.poll.end",
    "org.matrix.msc3381.poll.end",
)
"""Event types and ``msgtype`` values that are ignored, because they are for other bots or clients.
A text message is ignored too if it has no text."""

_TEXT_TYPES = ("m.text", "m.emote")
_FILE_TYPES: dict[str, FileKind] = {
    "m.file": "file",
    "m.image": "image",
    "m.audio": "audio",
    "m.video": "video",
}


def parse(raw: object, *, room_id: RoomId, bot: UserId, name: str = "") -> Inbound | None:
    """Parse an event; return None if the bot does not handle it.

    Args:
        raw: The event as JSON, decrypted if it could be.
        room_id: The room in which it happened.
        bot: The bot's user id. Its own messages are not handled.
        name: The bot's display name; empty if there is none or it is not known.
    """
    if not isinstance(raw, dict):
        return None
    event_id, sender = fields.event_id(raw, "event_id"), fields.user_id(raw, "sender")
    if event_id is None or sender is None:
        return None
    bare = Inbound(
        event_id=event_id,
        room_id=room_id,
        sender=sender,
        kind=EventKind.TEXT,
        sent_at_ms=fields.number(raw, "origin_server_ts"),
        raw=raw,
    )
    return (
        _parse_state(bare, raw, bot)
        if "state_key" in raw
        else _parse_message_like(bare, raw, bot, name)
    )


def parse_invite(room_id: RoomId, invite: object, *, bot: UserId) -> Inbound:
    """Return the bot's invite to ``room_id``; its sender is "" if the homeserver does not name it.

    The id of the result is made here, because an invite may come without an event id. The same
    invite has the same id each time it comes.

    The sender is not verified: the inviter's homeserver can add other events before the true
    invite, which is the last one. After the join, ``matrix.inbound.room_checks`` reads the invite
    from the room.

    Args:
        room_id: The room.
        invite: The room's part of a sync response.
        bot: The bot's user id.
    """
    invites = [e for e in _stripped_events(invite) if _is_membership(e, bot, "invite")]
    event = invites[-1] if invites else {}
    sent_at_ms = fields.number(event, "origin_server_ts")
    stamp = fields.event_id(event, "event_id") or sent_at_ms
    return Inbound(
        event_id=EventId(f"invite:{room_id}:{stamp}" if stamp else f"invite:{room_id}"),
        room_id=room_id,
        sender=fields.user_id(event, "sender") or UserId(""),
        kind=EventKind.INVITED,
        sent_at_ms=sent_at_ms,
        raw=event,
    )


def parse_leave(room_id: RoomId, left: object, *, bot: UserId) -> Inbound:
    """Return the bot's departure from ``room_id``, as a sync response reports it.

    The sender of the result is "" if the response does not name one.

    Args:
        room_id: The room.
        left: The room's part of a sync response.
        bot: The bot's user id.
    """
    found = [
        event
        for part in ("state", "timeline")
        for event in fields.objects(mapping(left), part, "events")
        if event.get("type") == "m.room.member" and event.get("state_key") == bot
    ]
    event = found[-1] if found else {}
    return Inbound(
        event_id=fields.event_id(event, "event_id") or EventId(f"left:{room_id}"),
        room_id=room_id,
        sender=fields.user_id(event, "sender") or UserId(""),
        kind=EventKind.LEFT,
        sent_at_ms=fields.number(event, "origin_server_ts"),
        raw=event,
    )


def redaction_target(raw: dict[str, Any]) -> EventId | None:
    """Return the id of the event that a redaction redacts; None if it is missing or contradictory.

    The id is in the redaction's content since room version 11, and beside the content before. A
    homeserver may give it in both places. If the two differ, the homeserver has checked the
    sender's power level only for one of them.
    """
    content = fields.fields(raw, "content")
    found = {fields.event_id(part, "redacts") for part in (content, raw) if "redacts" in part}
    return found.pop() if len(found) == 1 else None


def text_of(content: dict[str, Any]) -> str | None:
    """Return the text of a message, or the caption of a file; None if there is neither."""
    is_text = fields.text(content, "msgtype") in _TEXT_TYPES
    if not is_text and not _has_caption(content):
        return None
    return fields.text(content, "body", max_chars=MAX_BODY_CHARS)


def is_own_join(raw: object, bot: UserId) -> bool:
    """Return whether the event is a join of the bot, and not a change of its display name."""
    if not isinstance(raw, dict) or not _is_membership(raw, bot, "join"):
        return False
    return previous_membership(raw) != "join"


def is_own_invite(raw: object, bot: UserId) -> bool:
    """Return whether the event invites the bot."""
    return isinstance(raw, dict) and _is_membership(raw, bot, "invite")


def is_own_departure(raw: object, bot: UserId) -> bool:
    """Whether this is the bot's leave, kick or ban."""
    return isinstance(raw, dict) and any(_is_membership(raw, bot, m) for m in ("leave", "ban"))


def _parse_state(bare: Inbound, raw: dict[str, Any], bot: UserId) -> Inbound | None:
    if is_own_join(raw, bot):
        came = fields.fields(fields.fields(raw, "unsigned"), "prev_content")
        return as_class(RoomJoined, bare, after_invite=bool(came))
    replacement = fields.room_id(fields.fields(raw, "content"), "replacement_room")
    if raw.get("type") == "m.room.tombstone" and replacement is not None:
        return as_class(RoomUpgraded, bare, replacement=replacement)
    member = fields.user_id(raw, "state_key")
    if raw.get("type") != "m.room.member" or member is None or member == bot:
        return None
    kind = _membership_kind(raw)
    return None if kind is None else evolve(bare, kind=kind, sender=member)


def _membership_kind(raw: dict[str, Any]) -> EventKind | None:
    """Return the kind of another user's join or departure; None for other membership changes."""
    before, now = previous_membership(raw), fields.fields(raw, "content").get("membership")
    if now == "join" and before != "join":
        return EventKind.ENTERED
    return EventKind.DEPARTED if before == "join" and now in ("leave", "ban") else None


def _parse_message_like(
    bare: Inbound, raw: dict[str, Any], bot: UserId, name: str
) -> Inbound | None:
    content = fields.fields(raw, "content")
    is_bots = TRANSACTION_ID_KEY in content and content.get(BY_KEY, bare.sender) == bare.sender
    if bare.sender == bot or is_bots:  # two such bots would answer one another for ever
        return None
    match raw.get("type"):
        case "m.room.encrypted" if content:
            return evolve(bare, kind=EventKind.UNREADABLE)
        case "m.room.message":
            return _parse_message(bare, content, bot, name)
        case "m.reaction":
            return _parse_reaction(bare, fields.fields(content, "m.relates_to"))
        case "m.room.redaction":
            about = redaction_target(raw)
            return None if about is None else evolve(bare, kind=EventKind.REDACTED, about=about)
    return _parse_other(bare, fields.text(raw, "type") or "", content)


def _parse_other(bare: Inbound, event_type: str, content: dict[str, Any]) -> Inbound | None:
    """Return a message of a type that no flow handles, such as a sticker; None to ignore it.

    Args:
        bare: The fields that all events have.
        event_type: The event's type, or the ``msgtype`` of an ``m.room.message``.
        content: The event's content.
    """
    if not content or fields.fields(content, "m.relates_to").get("rel_type") == "m.replace":
        return None  # it was redacted, or is an edit
    name = _UNREAD_TYPES.get(event_type)
    if name is None and (event_type in _IGNORED_TYPES or fields.text(content, "body") is None):
        return None
    return as_class(UnsupportedMessage, bare, content_type=name or "unknown")


def _parse_message(
    bare: Inbound, content: dict[str, Any], bot: UserId, name: str
) -> Inbound | None:
    relation = fields.fields(content, "m.relates_to")
    if relation.get("rel_type") == "m.replace":
        return None
    text, file = text_of(content), _attachment(bare.event_id, content)
    if text is None and file is None:
        return _parse_other(bare, fields.text(content, "msgtype") or "", content)
    is_thread = relation.get("rel_type") == "m.thread"
    thread = fields.event_id(relation, "event_id") if is_thread else None
    is_reply = thread is None or relation.get("is_falling_back") is not True
    about = fields.event_id(fields.fields(relation, "m.in_reply_to"), "event_id")
    body = _without_fallback(text) if text is not None and "m.in_reply_to" in relation else text
    return evolve(
        bare,
        kind=EventKind.FILE if text is None else EventKind.TEXT,
        body=body or "",
        about=about if is_reply else None,
        thread=thread,
        mentions_bot=_mentions(content, bot, name),
        names=_names(content, bot, name),
        attachments=() if file is None else (file,),
    )


def _parse_reaction(bare: Inbound, relation: dict[str, Any]) -> Inbound | None:
    about, key = fields.event_id(relation, "event_id"), fields.text(relation, "key", max_chars=64)
    if relation.get("rel_type") != "m.annotation" or about is None or key is None:
        return None
    return as_class(ReactionReceived, bare, key=key, about=about)


def _has_caption(content: dict[str, Any]) -> bool:
    """Return whether a message is a file whose body is a caption and not the file's name.

    See the client-server API, "Media captions".
    """
    name = content.get("filename")
    has_name = isinstance(name, str) and name != content.get("body")
    return fields.text(content, "msgtype") in _FILE_TYPES and has_name


def _attachment(event_id: EventId, content: dict[str, Any]) -> Attachment | None:
    kind = _FILE_TYPES.get(fields.text(content, "msgtype") or "")
    encryption = plain(fields.fields(content, "file"))
    url = fields.text(encryption, "url") or fields.text(content, "url")
    if kind is None or url is None or len(url) > MAX_URL_CHARS:
        return None
    named = "filename" if "filename" in content else "body"
    info = fields.fields(content, "info")
    mimetype = fields.text(info, "mimetype", max_chars=MAX_NAME_CHARS)
    name = fields.text(content, named, max_chars=MAX_NAME_CHARS)
    return Attachment(
        event_id=event_id,
        name=kind if name is None else name,
        kind=kind,
        mimetype="application/octet-stream" if mimetype is None else mimetype,
        size_bytes=fields.number(info, "size"),
        url=url,
        encryption=encryption or None,
    )


def _names(content: dict[str, Any], bot: UserId, name: str) -> tuple[str, ...]:
    """Return the names by which a message may address the bot.

    These are its user id, its localpart, its display name, and the texts of the links to it.
    """
    localpart = bot.removeprefix("@").partition(":")[0]
    called = (html.unescape(text) for link, text in _pills(content) if unquote(link) == bot)
    return tuple(filter(None, dict.fromkeys((bot, localpart, name, *islice(called, MAX_PILLS)))))


def _pills(content: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the matrix.to links of the formatted body, each as (percent-encoded id, link text)."""
    formatted = content.get("formatted_body")
    return _PILL.findall(formatted[:MAX_BODY_CHARS]) if isinstance(formatted, str) else []


def _mentions(content: dict[str, Any], bot: UserId, name: str) -> bool:
    mentions = content.get("m.mentions")
    if isinstance(mentions, dict):
        named = mentions.get("user_ids")
        return isinstance(named, list) and bot in named
    # a client older than m.mentions: a pill, or the bot's name
    if any(unquote(link) == bot for link, _ in _pills(content)):
        return True
    body, localpart = content.get("body"), bot.removeprefix("@").partition(":")[0]
    called = "|".join(map(re.escape, filter(None, (bot, localpart, name))))
    words = rf"(?<!\w)({called})(?!\w)"
    return (
        isinstance(body, str) and re.search(words, body[:MAX_BODY_CHARS], re.IGNORECASE) is not None
    )


def _without_fallback(body: str) -> str:
    """The body without the quote that older clients add to a reply."""
    lines = body.split("\n")
    quoted = 0
    while quoted < len(lines) and lines[quoted].startswith(">"):
        quoted += 1
    if quoted == 0 or not lines[0].startswith("> <") or quoted == len(lines):
        return body
    start = quoted + 1 if not lines[quoted] else quoted
    return "\n".join(lines[start:])


def _stripped_events(invite: object) -> list[dict[str, Any]]:
    return fields.objects(mapping(invite), "invite_state", "events")


def _is_membership(raw: dict[str, Any], user_id: UserId, membership: str) -> bool:
    return (
        raw.get("type") == "m.room.member"
        and raw.get("state_key") == user_id
        and fields.fields(raw, "content").get("membership") == membership
    )


def previous_membership(raw: dict[str, Any]) -> object:
    """The membership before a membership event; None if the event does not have it."""
    unsigned = fields.fields(raw, "unsigned")
    previous = mapping(unsigned.get("prev_content") or raw.get("prev_content"))
    return previous.get("membership")
