"""What reaches the bot from a homeserver, as plain values that need no Matrix library to make."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal, Self, TypeVar

from attrs import field, fields, frozen

from fsm.values.ids import EventId, RoomId, UserId
from fsm.values.messages import Attachment, QuestionRef

ContentType = Literal["sticker", "poll", "location", "unknown"]


class EventKind(Enum):
    """What an inbound event is, as far as a flow cares.

    Kinds with data of their own have a class of their own, which is named here.
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
    """The event ``about`` was taken back."""

    INVITED = "invited"
    """The bot was invited to the room; ``sender`` is who invited it."""

    JOINED = "joined"
    """The bot's own join of the room (``RoomJoined``). ``sender`` is whose room it is; the bot, if
    nobody's."""

    LEFT = "left"
    """The bot is no longer in the room: it left, or was kicked. ``sender`` is whose room it is."""

    ENTERED = "entered"
    """Somebody else, ``sender``, has joined the room."""

    DEPARTED = "departed"
    """Somebody else, ``sender``, is no longer in the room: they left, or were removed."""

    UPGRADED = "upgraded"
    """The room was replaced by another (``m.room.tombstone``; ``RoomUpgraded``). ``sender`` is
    whose room it is."""

    ROOM_CREATED = "room created"
    """A room that a turn asked for was created: ``room_id`` (``RoomCreated``). ``sender`` is whose
    it is to be."""

    ROOM_FAILED = "room failed"
    """The homeserver refuses to create a room (``RoomFailed``). ``room_id`` is where it was asked
    for, and ``sender`` whose it was to be."""

    DONE = "done"
    """A state event that a turn asked for is set (``EffectDone``). ``room_id`` is where it was
    asked for, ``sender`` by whom, ``about`` the event."""

    REFUSED = "refused"
    """The homeserver refuses to set a state event, or to invite (``EffectRefused``). The rest is as
    for ``DONE``."""

    EXPIRED = "expired"
    """The time of a state that ends by itself is up."""

    UNREADABLE = "unreadable"
    """An encrypted event whose key has not arrived."""


@frozen(kw_only=True)
class Inbound:
    """One event, addressed to the bot, that wants handling exactly once.

    Args:
        event_id: Its id, the root of every transaction id that its handling needs.
        room_id: The room in which it happened.
        sender: Who sent it.
        kind: What it is. A kind with data of its own has a class of its own.
        body: The text as the sender wrote it, without a reply's quoted fallback; empty for what is
            no text.
        sent_at_ms: The origin homeserver's clock, Unix time in milliseconds. A claim, not a fact.
        about: The event that it replies to, reacts to or takes back.
        thread: The root of the thread in which it stands (``m.thread``).
        mentions_bot: It names the bot (``m.mentions``, or its id or name in the text), or replies
            to it.
        names: What the bot is called in its room: a text that begins with one of them, as in
            ``helper: !status``, is to the bot.
        is_group: More than two people are in the room, or invited to it.
        question: What the event ``about`` says of itself, if it is a question of the bot's to this
            sender.
        attachments: The file that it is, or that its text is the caption of; and, where an earlier
            life of the process took files for this text, those.
        version: The edit whose text ``body`` is, if it was edited before it was answered.
        unedited: What it said before.
        parts: Further messages that were put to an agent with it.
        repeats: The sender's last question that an agent was asked here, if this one asks for it
            again.
        raw: The event as the homeserver gave it, for what needs more (decrypting later).
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
        """The event as this class, for who knows that it is one.

        Raises:
            TypeError: It is of another class.
        """
        if not isinstance(inbound, cls):
            problem = f"an event of kind {inbound.kind.name} is no {cls.__name__}"
            raise TypeError(problem)
        return inbound


@frozen(kw_only=True)
class ReactionReceived(Inbound):
    """Somebody has put an emoji on the event ``about``.

    Args:
        key: The emoji.
    """

    kind: EventKind = field(default=EventKind.REACTION, init=False)
    key: str


@frozen(kw_only=True)
class UnsupportedMessage(Inbound):
    """Something that a person sent and that no flow reads.

    Args:
        content_type: What it is.
    """

    kind: EventKind = field(default=EventKind.OTHER, init=False)
    content_type: ContentType = "unknown"


@frozen(kw_only=True)
class RoomJoined(Inbound):
    """The bot has joined the room.

    Args:
        after_invite: It was invited, and did not create the room.
        replaces: The room that this one replaces, if both rooms say so and nothing else has
            happened here yet.
    """

    kind: EventKind = field(default=EventKind.JOINED, init=False)
    after_invite: bool = True
    replaces: RoomId | None = None


@frozen(kw_only=True)
class RoomUpgraded(Inbound):
    """The room was replaced by another (``m.room.tombstone``).

    Args:
        replacement: The other room.
    """

    kind: EventKind = field(default=EventKind.UPGRADED, init=False)
    replacement: RoomId


@frozen(kw_only=True)
class RoomCreated(Inbound):
    """A room that a turn asked for was created.

    Args:
        purpose: What it is for (``NewRoom.purpose``).
        name: What people call it.
        asked_in: The room in which it was asked for.
    """

    kind: EventKind = field(default=EventKind.ROOM_CREATED, init=False)
    purpose: str
    name: str
    asked_in: RoomId


@frozen(kw_only=True)
class RoomFailed(Inbound):
    """The homeserver refuses to create a room.

    Args:
        purpose: What it was to be for (``NewRoom.purpose``).
        name: What people were to call it.
        problem: What the homeserver says.
    """

    kind: EventKind = field(default=EventKind.ROOM_FAILED, init=False)
    purpose: str
    name: str
    problem: str


@frozen(kw_only=True)
class EffectDone(Inbound):
    """A state event that a turn asked for is set.

    Args:
        event_type: The type of the state event.
        target: The room in which it is set.
        content: Its content.
    """

    kind: EventKind = field(default=EventKind.DONE, init=False)
    event_type: str
    target: RoomId
    content: Mapping[str, object] = field(factory=dict, eq=False, repr=False)


@frozen(kw_only=True)
class EffectRefused(Inbound):
    """The homeserver refuses to set a state event, or to invite.

    Args:
        event_type: The type of the state event; ``m.room.member`` for an invite.
        target: The room in which it was to be set, or to which somebody was to be invited.
        content: The state event's content; empty for an invite.
        problem: What the homeserver says.
    """

    kind: EventKind = field(default=EventKind.REFUSED, init=False)
    event_type: str
    target: RoomId
    content: Mapping[str, object] = field(factory=dict, eq=False, repr=False)
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
    """An event of this kind, of the kind's class; ``values`` are the fields of that class."""
    cls = _CLASSES.get(kind)
    return Inbound(kind=kind, **values) if cls is None else cls(**values)


def as_class(cls: type[T], inbound: Inbound, **changes: Any) -> T:
    """The event as another class: the fields that both classes have, and ``changes``."""
    names = {a.name for a in fields(type(inbound))} & {a.name for a in fields(cls) if a.init}
    return cls(**{name: getattr(inbound, name) for name in names} | changes)
