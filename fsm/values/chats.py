"""Chats as one flow offers them to another."""

from attrs import frozen

from fsm.values.ids import ChatId


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
