"""Parts of messages, references in messages, and the signals that flows and questions trigger."""

from typing import Any, Literal

from attrs import field, frozen

from fsm.values.ids import ChatId, EventId, PlatformChatId, UserId

FileKind = Literal["file", "image", "audio", "video"]


@frozen(kw_only=True)
class Attachment:
    """One file, image, audio or video in a room.

    Args:
        event_id: The event that contains the file.
        name: The file name, as given by the sender.
        kind: ``file``, ``image``, ``audio`` or ``video``.
        mimetype: The media type, as given by the sender.
        size_bytes: The size, as given by the sender; 0 if not given.
        url: The ``mxc://`` URI of the file.
        encryption: The ``file`` object of an encrypted attachment (client-server API, "Sending
            encrypted attachments"); None if the file is not encrypted.
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
    """A text that a user sent, with the files that belong to it."""

    text: str
    attachments: tuple[Attachment, ...]


@frozen
class Triggered:
    """A signal that a turn has triggered.

    Args:
        signal: A value of the class that an event of the receiving flow names (``Event(on=…)``).
        missed: The reply to the sender if the current state of the receiving flow does not answer
            the signal. "": no reply. None: the turn fails with ``NoSuchTransition`` instead.
        seen: For the signal of a confirmation: the snapshot of the receiving conversation when the
            question was asked. If the snapshot has changed since, the signal is not delivered, and
            the reply is ``missed``. None: the snapshot is not compared.
    """

    signal: object
    missed: str | None = None
    seen: object = None


@frozen
class Reset:
    """The signal that resets the sender's conversation of one flow to idle.

    Args:
        flow: The class of the flow.
    """

    flow: Any


@frozen
class Question:
    """The signal that makes the confirmation flow ask a question.

    Args:
        text: The question, Markdown.
        then: The signal to trigger if the answer is yes.
        otherwise: The signal to trigger if the answer is no or the question expires; None for no
            signal.
    """

    text: str
    then: Triggered
    otherwise: Triggered | None = None


@frozen(kw_only=True)
class QuestionRef:
    """Identifies a flow's question, to which users may reply or react.

    It is stored in the content of the question's message, so that an answer to the question is
    recognised after a restart too.

    Args:
        flow: The name of the flow that asks.
        id: The id of the inbound event whose turn asked the question.
        life: The id of the process run in which the question was asked.
        asker: The user whose answer counts; None if everybody's answer counts.
    """

    flow: str
    id: EventId
    life: str
    asker: UserId | None


@frozen(kw_only=True)
class AnswerRef:
    """Identifies the question that an agent's answer belongs to.

    It is stored in the content of each message of the answer, so that the questions and answers of
    a chat can be read back from the room.

    Args:
        chat: The platform chat to which the answer belongs.
        question: The message that the agent answers.
        also: Further messages, files and texts, that were sent to the agent with the question.
        is_empty: Whether the agent's answer is empty, so that all text in the message is the bot's.
    """

    chat: PlatformChatId
    question: EventId
    also: tuple[EventId, ...] = ()
    is_empty: bool = False


@frozen
class Choice:
    """One chat in a list to choose from.

    Args:
        chat_id: The number of the chat in its user's Space.
        name: The display name of the chat, escaped for Markdown.
        detail: Further text that distinguishes the chat from the others; may be empty.
    """

    chat_id: ChatId
    name: str
    detail: str


@frozen
class Choices:
    """Chats to choose from, in the order in which they are numbered."""

    items: tuple[Choice, ...]
