"""What reaches the bot from a homeserver, as plain values that need no Matrix library to make."""

from enum import Enum

from attrs import field, frozen

from fsm.values.ids import EventId, RoomId, UserId
from fsm.values.messages import Attachment, QuestionRef


class EventKind(Enum):
    """What an inbound event is, as far as a flow cares."""

    TEXT = "text"
    """Something that a person wrote: ``m.text`` or ``m.emote``, or the caption of a file."""

    FILE = "file"
    """A file, image, audio or video without a caption."""

    REACTION = "reaction"
    """An emoji put on the event ``about``; it is the ``body``."""

    OTHER = "other"
    """Something else that a person sent; the ``body`` says what: ``sticker``, ``poll``,
    ``location`` or ``unknown``."""

    REDACTED = "redacted"
    """The event ``about`` was taken back."""

    INVITED = "invited"
    """The bot was invited to the room; ``sender`` is who invited it."""

    JOINED = "joined"
    """The bot's own join of the room. ``sender`` is whose room it is; the bot, if nobody's. The
    ``body`` is the id of the room that this one replaces, if both rooms say so and nothing else has
    happened here yet."""

    LEFT = "left"
    """The bot is no longer in the room: it left, or was kicked. ``sender`` is whose room it is."""

    ENTERED = "entered"
    """Somebody else, ``sender``, has joined the room."""

    DEPARTED = "departed"
    """Somebody else, ``sender``, is no longer in the room: they left, or were removed."""

    UPGRADED = "upgraded"
    """The room was replaced by the room whose id is the ``body`` (``m.room.tombstone``).
    ``sender`` is whose room it is."""

    MADE = "made"
    """A room that a turn asked for is there: ``room_id``. ``sender`` is whose it is to be, and
    ``body`` what it was asked for (``NewRoom.purpose``)."""

    NOT_MADE = "not made"
    """The homeserver refuses to make a room; ``room_id`` is where it was asked for."""

    DONE = "done"
    """A piece of state that a turn asked for is set. ``room_id`` is where it was asked for,
    ``sender`` by whom, ``about`` the event; ``body`` is the state's type, and ``raw`` has the
    ``room_id`` and the ``content`` that were asked for."""

    REFUSED = "refused"
    """The homeserver refuses to set a piece of state, or to invite (``m.room.member``). As above;
    ``raw`` has the ``problem`` too."""

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
        kind: What it is.
        body: The text as the sender wrote it, without a reply's quoted fallback; empty where
            the kind has none.
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
