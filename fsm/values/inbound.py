"""Inbound events from the homeserver, as plain values that need no Matrix library."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal, Self, TypeVar

from attrs import field, fields, frozen

from fsm.values.ids import EventId, RoomId, UserId
from fsm.values.messages import Attachment, QuestionRef

ContentType = Literal["sticker", "poll", "location", "unknown"]


class EventKind(Enum):
    """The kinds of inbound events that flows distinguish.

    A kind with additional data has its own class, which is named here.
    """

    TEXT = "text"
    """Something that a person wrote: ``m.text`` or ``m.emote``, or the caption of a file."""

    FILE = "file"
    """A file, image, audio or video without a caption."""

    REACTION = "reaction"
    """An emoji put on the event ``about`` (``ReactionReceived``)."""

    OTHER = "other"
    """Something else that a person sent (``UnsupportedMessage``)."""

    REDACTED = "redacted"
    """The event ``about`` was redacted."""

    INVITED = "invited"
    """The bot was invited to the room; ``sender`` is the inviter."""

    JOINED = "joined"
    """The bot's own join of the room (``RoomJoined``). ``sender`` is the room's owner; the bot, if
    there is none."""

    LEFT = "left"
    """The bot is no longer in the room: it left, or was kicked. ``sender`` is the room's owner."""

    ENTERED = "entered"
    """Somebody else, ``sender``, has joined the room."""

    DEPARTED = "departed"
    """Somebody else, ``sender``, is no longer in the room: they left, or were removed."""

    UPGRADED = "upgraded"
    """The room was replaced by another (``m.room.tombstone``; ``RoomUpgraded``). ``sender`` is
    the room's owner."""

    ROOM_CREATED = "room created"
    """A room that a turn requested was created: ``room_id`` (``RoomCreated``). ``sender`` is the
    user who requested it."""

    ROOM_FAILED = "room failed"
    """The homeserver refused to create a room (``RoomFailed``). ``room_id`` is the room in which
    ``sender`` requested it."""

    DONE = "done"
    """A state event that a turn requested is set (``EffectDone``). ``room_id`` is the room in
    which ``sender`` requested it by the event ``about``."""

    REFUSED = "refused"
    """The homeserver refused to set a state event, or to invite (``EffectRefused``). The rest is as
    for ``DONE``."""

    EXPIRED = "expired"
    """A state has expired."""

    UNREADABLE = "unreadable"
    """An encrypted event whose key has not arrived."""


@frozen(kw_only=True)
class Inbound:
    """One event for the bot, to be handled exactly once.

    Args:
        event_id: Its id. All transaction ids of its handling are derived from it.
        room_id: The room in which it happened.
        sender: Who sent it.
        kind: What it is. A kind with data of its own has a class of its own.
        body: The text as the sender wrote it, without a reply's quoted fallback; empty if it is no
            text.
        sent_at_ms: The origin homeserver's clock, Unix time in milliseconds. It can't be trusted.
        about: The event that it replies to, reacts to or redacts.
        thread: The root of its thread (``m.thread``).
        mentions_bot: It names the bot (``m.mentions``, or its id or name in the text), or replies
            to it.
        names: The bot's names in the room: a text that begins with one of them, as in ``helper:
            !status``, is addressed to the bot.
        is_group: More than two people are in the room, or invited to it.
        question: The reference of the event ``about``, if that is a question of the bot to this
            sender.
        attachments: The file that it is, or whose caption its text is; and the files that an
            earlier run of the process collected for this text.
        version: The edit whose text ``body`` is, if it was edited before it was answered.
        unedited: The text before the edit.
        parts: Further messages that were sent to an agent with it.
        repeats: The sender's last question to an agent here, if this event asks for it again.
        raw: The event as received from the homeserver, for later decryption.
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
        """Refuse an event of a kind that has another class."""
        if type(self) is not _CLASSES.get(self.kind, Inbound):
            problem = f"an event of kind {self.kind.name} is no {type(self).__name__}"
            raise TypeError(problem)

    @classmethod
    def of(cls, inbound: "Inbound") -> Self:
        """Check that the event is of this class, and return it.

        Raises:
            TypeError: It is of another class.
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
        content_type: Its type.
    """

    kind: EventKind = field(default=EventKind.OTHER, init=False)
    content_type: ContentType = "unknown"


@frozen(kw_only=True)
class RoomJoined(Inbound):
    """The bot has joined the room.

    Args:
        after_invite: Whether it was invited. False if it created the room.
        replaces: The room that this one replaces, if both rooms say so and this one has no other
            events yet.
    """

    kind: EventKind = field(default=EventKind.JOINED, init=False)
    after_invite: bool = True
    replaces: RoomId | None = None


@frozen(kw_only=True)
class RoomUpgraded(Inbound):
    """The room was replaced by another (``m.room.tombstone``).

    Args:
        replacement: The new room.
    """

    kind: EventKind = field(default=EventKind.UPGRADED, init=False)
    replacement: RoomId


@frozen(kw_only=True)
class RoomCreated(Inbound):
    """A room that a turn asked for was created.

    Args:
        purpose: The flow's key for it (``NewRoom.purpose``).
        name: Its display name.
        asked_in: The room in which it was requested.
    """

    kind: EventKind = field(default=EventKind.ROOM_CREATED, init=False)
    purpose: str
    name: str
    asked_in: RoomId


@frozen(kw_only=True)
class RoomFailed(Inbound):
    """The homeserver refused to create a room.

    Args:
        purpose: The flow's key for it (``NewRoom.purpose``).
        name: The requested display name.
        problem: The homeserver's error text.
    """

    kind: EventKind = field(default=EventKind.ROOM_FAILED, init=False)
    purpose: str
    name: str
    problem: str


@frozen(kw_only=True)
class EffectDone(Inbound):
    """A state event that a turn requested is set.

    Args:
        event_type: The type of the state event.
        target: The room in which it is set.
        content: Its content.
        room_name: The name that the room was given, empty if it was removed; None if it was
            another request.
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
        room_name: The name that the room was to have, empty if it was to be removed; None if it
            was another request.
        invited: The user who was to be invited; None if it was another request.
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
    """Make an event of this kind, as the class of the kind; ``values`` are its fields."""
    cls = _CLASSES.get(kind)
    return Inbound(kind=kind, **values) if cls is None else cls(**values)


def as_class(cls: type[T], inbound: Inbound, **changes: Any) -> T:
    """Convert the event to another class: the fields that both classes have, and ``changes``."""
    names = {a.name for a in fields(type(inbound))} & {a.name for a in fields(cls) if a.init}
    return cls(**{name: getattr(inbound, name) for name in names} | changes)
