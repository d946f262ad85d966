"""Inbound events, as plain values that need no Matrix library.

They come from the homeserver, or report the outcome of an effect or the expiry of a state.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal, Self, TypeVar

from attrs import field, fields, frozen

from fsm.values.ids import EventId, RoomId, UserId
from fsm.values.messages import Attachment, QuestionRef

ContentType = Literal["sticker", "poll", "location", "unknown"]


class EventKind(Enum):
    """The kinds of inbound events that flows distinguish.

    Events of most kinds are plain ``Inbound`` values. If a kind has a class of its own, for
    additional data, its description names the class.
    """

    TEXT = "text"
    """Something that a person wrote: ``m.text`` or ``m.emote``, or the caption of a file."""

    FILE = "file"
    """A file, image, audio or video without a caption."""

    REACTION = "reaction"
    """A person reacted with an emoji to the event ``about`` (``ReactionReceived``)."""

    OTHER = "other"
    """A person sent a message of another type, such as a sticker (``UnsupportedMessage``)."""

    REDACTED = "redacted"
    """The event ``about`` was redacted."""

    INVITED = "invited"
    """The bot was invited to the room; ``sender`` is the inviter."""

    JOINED = "joined"
    """The bot joined the room (``RoomJoined``). ``sender`` is the room's owner, or the bot if the
    room has no owner."""

    LEFT = "left"
    """The bot left the room, or was kicked or banned. ``sender`` is the room's owner, or the sender
    of the membership event if the room has no owner."""

    ENTERED = "entered"
    """Somebody else, ``sender``, has joined the room."""

    DEPARTED = "departed"
    """Another user left the room, or was kicked or banned: ``sender``."""

    UPGRADED = "upgraded"
    """The room was replaced by another (``m.room.tombstone``; ``RoomUpgraded``). ``sender`` is the
    room's owner, or the sender of the tombstone if the room has no owner."""

    ROOM_CREATED = "room created"
    """A room that a turn requested was created (``RoomCreated``). ``room_id`` is the new room, and
    ``sender`` is the user for whom it was requested."""

    ROOM_FAILED = "room failed"
    """The homeserver refused to create a room (``RoomFailed``). ``room_id`` is the room in which
    ``sender`` requested the new room."""

    DONE = "done"
    """The homeserver set a state event that a turn requested (``EffectDone``). ``room_id`` is the
    room named for the report (``asked_in``), ``sender`` is the user who caused the request, and
    ``about`` is the event to reply to."""

    REFUSED = "refused"
    """The homeserver refused to set a state event or to invite a user (``EffectRefused``).
    ``room_id``, ``sender`` and ``about`` are as for ``DONE``."""

    EXPIRED = "expired"
    """The state of a conversation expired. ``sender`` is the user whose event led to the state."""

    UNREADABLE = "unreadable"
    """An encrypted event whose key has not arrived."""


@frozen(kw_only=True)
class Inbound:
    """One event for the bot, to be handled exactly once.

    Args:
        event_id: The id of the event. The transaction ids of all requests that handling the event
            sends are derived from it.
        room_id: The room in which the event happened.
        sender: The user who sent the event; see ``EventKind`` for the kinds with another meaning.
        kind: The kind of the event. Some kinds have a subclass with additional data.
        body: The text as the sender wrote it, without the quoted fallback of a reply; empty if the
            event has no text.
        sent_at_ms: When the event was sent, Unix time in milliseconds, according to the sender's
            homeserver, which may be wrong; 0 if unknown.
        about: The event to which this event replies or reacts, or which it redacts; None if there
            is none.
        thread: The root of the thread of the event (``m.thread``); None if it is in no thread.
        mentions_bot: Whether the message names the bot (``m.mentions``, or the bot's id or name in
            the text), or replies to a message of the bot.
        names: The bot's names. A text that begins with one of them and a command, as in ``helper:
            !status``, is read as the command.
        is_group: Whether more than two people are in the room or invited to it. Only read for
            messages, and only if ``rooms.respond_to`` in the config is not ``everyone``; otherwise
            False.
        question: The reference in the event ``about``, if that event is a question of the bot that
            this sender may answer; otherwise None.
        attachments: The file that was sent, with or without a caption. For a text that was sent to
            an agent together with files in other messages, and that a new run of the process
            handles again, also these files.
        version: The event id of the latest edit that ``body`` includes, or of the redaction of an
            edit; None if ``body`` is the original text.
        unedited: The original text, if ``version`` is not None.
        parts: For a question that is read back from the room (``repeats``): the ids of further
            messages that were sent to the agent together with it.
        repeats: For ``!retry``: the sender's last question to an agent in this room, or None if
            there is none. None for any other event.
        raw: The event as received from the homeserver; an encrypted event can be decrypted from it
            later. Empty if the event did not come from the homeserver.
    """

    event_id: EventId
    room_id: RoomId
    sender: UserId
    kind: EventKind
    body: str = ""
    sent_at_ms: int = 0
    about: EventId | None = None
    thread: EventId | None = None
    mentions_bot: bool = False
    names: tuple[str, ...] = field(default=(), eq=False, repr=False)
    is_group: bool = False
    question: QuestionRef | None = None
    attachments: tuple[Attachment, ...] = ()
    version: EventId | None = None
    unedited: str = field(default="", eq=False, repr=False)
    parts: tuple[EventId, ...] = ()
    repeats: "Inbound | None" = field(default=None, eq=False, repr=False)
    raw: dict[str, object] = field(factory=dict, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Raise ``TypeError`` if events of this kind must be of another class."""
        if type(self) is not _CLASSES.get(self.kind, Inbound):
            problem = f"an event of kind {self.kind.name} is no {type(self).__name__}"
            raise TypeError(problem)

    @classmethod
    def of(cls, inbound: "Inbound") -> Self:
        """Return ``inbound``, checked to be of this class.

        Raises:
            TypeError: ``inbound`` is of another class.
        """
        if not isinstance(inbound, cls):
            problem = f"an event of kind {inbound.kind.name} is no {cls.__name__}"
            raise TypeError(problem)
        return inbound


@frozen(kw_only=True)
class ReactionReceived(Inbound):
    """Somebody reacted with an emoji to the event ``about``.

    Args:
        key: The emoji.
    """

    kind: EventKind = field(default=EventKind.REACTION, init=False)
    key: str


@frozen(kw_only=True)
class UnsupportedMessage(Inbound):
    """A message of a type that no flow handles.

    Args:
        content_type: What the message is.
    """

    kind: EventKind = field(default=EventKind.OTHER, init=False)
    content_type: ContentType = "unknown"


@frozen(kw_only=True)
class RoomJoined(Inbound):
    """The bot has joined the room.

    Args:
        after_invite: Whether the bot was invited to the room. False if it created the room.
        replaces: The room that this room replaces, if both rooms say so and this room has no chat
            yet; otherwise None.
    """

    kind: EventKind = field(default=EventKind.JOINED, init=False)
    after_invite: bool = True
    replaces: RoomId | None = None


@frozen(kw_only=True)
class RoomUpgraded(Inbound):
    """The room was replaced by another (``m.room.tombstone``).

    Args:
        replacement: The room that replaces ``room_id``.
    """

    kind: EventKind = field(default=EventKind.UPGRADED, init=False)
    replacement: RoomId


@frozen(kw_only=True)
class RoomCreated(Inbound):
    """A room that a turn requested was created: ``room_id``.

    Args:
        purpose: The flow's own key for the room (``NewRoom.purpose``).
        name: The room's display name.
        asked_in: The room in which the new room was requested.
    """

    kind: EventKind = field(default=EventKind.ROOM_CREATED, init=False)
    purpose: str
    name: str
    asked_in: RoomId


@frozen(kw_only=True)
class RoomFailed(Inbound):
    """The homeserver refused to create a room.

    Args:
        purpose: The flow's own key for the room (``NewRoom.purpose``).
        name: The requested display name.
        problem: The homeserver's error text.
    """

    kind: EventKind = field(default=EventKind.ROOM_FAILED, init=False)
    purpose: str
    name: str
    problem: str


@frozen(kw_only=True)
class EffectDone(Inbound):
    """The homeserver set a state event that a turn requested.

    Args:
        event_type: The type of the state event.
        target: The room of the state event.
        content: The content of the state event.
        room_name: If the request was to name the room: the new name, or "" if the name was removed.
            None for any other request.
    """

    kind: EventKind = field(default=EventKind.DONE, init=False)
    event_type: str
    target: RoomId
    content: Mapping[str, object] = field(factory=dict, eq=False, repr=False)
    room_name: str | None = None


@frozen(kw_only=True)
class EffectRefused(Inbound):
    """The homeserver refused to set a state event, or to invite a user.

    Args:
        event_type: The type of the state event; ``m.room.member`` for an invite.
        target: The room of the state event or of the invite.
        content: The state event's content; empty for an invite.
        room_name: If the request was to name the room: the requested name, or "" to remove the
            name. None for any other request.
        invited: The user who was to be invited; None for any other request.
        problem: The homeserver's error text.
    """

    kind: EventKind = field(default=EventKind.REFUSED, init=False)
    event_type: str
    target: RoomId
    content: Mapping[str, object] = field(factory=dict, eq=False, repr=False)
    room_name: str | None = None
    invited: UserId | None = None
    problem: str


T = TypeVar("T", bound=Inbound)

_CLASSES: dict[EventKind, type[Inbound]] = {
    EventKind.REACTION: ReactionReceived,
    EventKind.OTHER: UnsupportedMessage,
    EventKind.JOINED: RoomJoined,
    EventKind.UPGRADED: RoomUpgraded,
    EventKind.ROOM_CREATED: RoomCreated,
    EventKind.ROOM_FAILED: RoomFailed,
    EventKind.DONE: EffectDone,
    EventKind.REFUSED: EffectRefused,
}


def make_inbound(kind: EventKind, **values: Any) -> Inbound:
    """Return an event of this kind, of the class that belongs to the kind.

    ``values`` are the other fields of the event.
    """
    cls = _CLASSES.get(kind)
    return Inbound(kind=kind, **values) if cls is None else cls(**values)


def as_class(cls: type[T], inbound: Inbound, **changes: Any) -> T:
    """Return the event converted to the class ``cls``.

    Fields that both classes have are copied. ``changes`` gives the other fields, or new values.
    """
    names = {a.name for a in fields(type(inbound))} & {a.name for a in fields(cls) if a.init}
    return cls(**{name: getattr(inbound, name) for name in names} | changes)
