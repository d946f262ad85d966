"""Messages and what they say of themselves: files, questions, answers, signals between flows."""

from typing import Any

from attrs import field, frozen

from fsm.values.ids import ChatId, EventId, PlatformChatId, UserId


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
    kind: str = "file"
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
class Signal:
    """Another flow, or the program itself, triggers an event by its name.

    Args:
        flow: The name of the flow whose event it is.
        event: The event.
        payload: What the event's handler finds in ``turn.payload``.
        missed: What is replied if the flow's present state does not answer the event; "" for
            nothing. None where that can't be, and is a defect.
        seen: Where the flow's conversation stood when this was asked about: if it stands elsewhere
            now, the event is missed.
    """

    flow: str
    event: str
    payload: object = None
    missed: str | None = None
    seen: object = None


@frozen
class Question:
    """What the confirmation flow asks.

    Args:
        text: The question, Markdown.
        then: The event to trigger if the answer is yes.
        otherwise: The one to trigger if it is no, or does not come in time.
    """

    text: str
    then: Signal
    otherwise: Signal | None = None


CONFIRMATION = "confirmation"
"""The name of the flow that asks before something is done."""


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
