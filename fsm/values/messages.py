"""Messages and what they say of themselves: files, questions, answers, triggered signals."""

from typing import Any, Literal

from attrs import field, frozen

from fsm.values.ids import ChatId, EventId, PlatformChatId, UserId

FileKind = Literal["file", "image", "audio", "video"]


@frozen(kw_only=True)
class Attachment:
    """One file, image, audio or video in a room.

    Args:
        event_id: The event that brought it.
        name: Its file name, as the sender gave it.
        kind: ``file``, ``image``, ``audio`` or ``video``.
        mimetype: What its sender says it is.
        size_bytes: How large its sender says it is; 0 where nothing is said.
        url: Its ``mxc://`` URI.
        encryption: The ``file`` object of an encrypted attachment (client-server API, "Sending
            encrypted attachments"), or None.
    """

    event_id: EventId
    name: str
    kind: FileKind = "file"
    mimetype: str = "application/octet-stream"
    size_bytes: int = 0
    url: str = ""
    encryption: dict[str, Any] | None = field(default=None, eq=False, repr=False)


@frozen
class Said:
    """A text and the files that go with it."""

    text: str
    attachments: tuple[Attachment, ...]


@frozen
class Triggered:
    """A signal that a turn has triggered.

    Args:
        signal: A value of the class that an event of the receiving flow names (``Event(on=…)``).
        missed: What is replied if the flow's current state does not answer the signal; "" for
            nothing. None if that is an error.
        seen: The flow's snapshot when the question was asked that triggers this: if it is another
            now, the signal is missed.
    """

    signal: object
    missed: str | None = None
    seen: object = None


@frozen
class Reset:
    """The signal that resets the sender's conversation of any flow to idle.

    Args:
        flow: The flow's class.
    """

    flow: Any


@frozen
class Question:
    """The signal that has the confirmation flow ask.

    Args:
        text: The question, Markdown.
        then: What to trigger if the answer is yes.
        otherwise: What to trigger if it is no, or does not come in time.
    """

    text: str
    then: Triggered
    otherwise: Triggered | None = None


@frozen(kw_only=True)
class QuestionRef:
    """What a question's event carries, so that an answer to it is known after any restart.

    Args:
        flow: The flow that asks.
        id: The inbound event that made it ask: no two questions of a flow have the same.
        life: The life of the process in which it was asked.
        asker: Whose answer counts; None for everybody's.
    """

    flow: str
    id: EventId
    life: str
    asker: UserId | None


@frozen(kw_only=True)
class AnswerRef:
    """What each message of an answer carries, so that a chat can be read back from its room.

    Args:
        chat: The platform chat to which the answer belongs.
        question: The message that it answers.
        also: Further messages that were put to the agent with it: files, and texts that joined it.
        is_empty: The agent has said nothing: all the words are the bot's own.
    """

    chat: PlatformChatId
    question: EventId
    also: tuple[EventId, ...] = ()
    is_empty: bool = False


@frozen
class Choice:
    """One chat to choose.

    Args:
        chat_id: Its number in its user's Space.
        name: What people call it.
        detail: What else tells it from the others; may be empty.
    """

    chat_id: ChatId
    name: str
    detail: str


@frozen
class Choices:
    """Chats to choose from, in the order in which they are numbered."""

    items: tuple[Choice, ...]
