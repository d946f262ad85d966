"""What the messages of an agent's answer say of themselves."""

from attrs import frozen

from fsm.values.ids import EventId, PlatformChatId


@frozen(kw_only=True)
class AnswerMark:
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
