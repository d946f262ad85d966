"""Messages and their references: files, questions, answers, triggered signals."""

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
        mimetype: Its media type, as given by the sender.
        size_bytes: Its size, as given by the sender; 0 if not given.
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
    """A text with its files."""

    text: str
    attachments: tuple[Attachment, ...]


@frozen
class Triggered:
    """A signal that a turn has triggered.

    Args:
        signal: A value of the class that an event of the receiving flow names (``Event(on=…)``).
        missed: The reply if the flow's current state does not answer the signal; "" for no reply.
            None if that is an error.
        seen: The flow's snapshot when the confirmation was requested. If it differs now, the signal
            is not delivered, and ``missed`` is the reply.
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
    """The signal that makes the confirmation flow ask a question.

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
    """The reference in a question's event, so that an answer to it is recognised after a restart.

    Args:
        flow: The flow that asks.
        id: The inbound event of the turn that asked; unique among the flow's questions.
        life: The id of the process run in which it was asked.
        asker: The user whose answer counts; None if everybody's does.
    """

    flow: str
    id: EventId
    life: str
    asker: UserId | None


@frozen(kw_only=True)
class AnswerRef:
    """The reference in each message of an answer, so that a chat can be read back from its room.

    Args:
        chat: The platform chat to which the answer belongs.
        question: The message that it answers.
        also: Further messages that were sent to the agent with it: files and texts.
        is_empty: The agent's answer is empty: all text is the bot's own.
    """

    chat: PlatformChatId
    question: EventId
    also: tuple[EventId, ...] = ()
    is_empty: bool = False


@frozen
class Choice:
    """One chat in a list to choose from.

    Args:
        chat_id: Its number in its user's Space.
        name: Its display name.
        detail: Further text that distinguishes it from the others; may be empty.
    """

    chat_id: ChatId
    name: str
    detail: str


@frozen
class Choices:
    """Chats to choose from, in the order in which they are numbered."""

    items: tuple[Choice, ...]
