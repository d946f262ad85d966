"""Agents as the bot talks to them, whatever protocol they speak."""

from collections.abc import AsyncIterator
from enum import Enum
from typing import Any, Protocol

from attrs import frozen

from fsm.agents import AgentEntry
from fsm.attachments import Attachment
from fsm.errors import StrandlineError
from fsm.ids import AgentId, EventId, PlatformChatId
from fsm.language import sentence


class Trouble(Enum):
    """What went wrong, and what is said of it to who has asked; ``{agent}`` is the agent's id."""

    UNKNOWN = sentence("Agent `{agent}` could not answer. Please send your message again.")
    UNREACHABLE = sentence(
        "Agent `{agent}` can't be reached just now. Please send your message again in a while."
    )
    UNTRUSTED = sentence(
        "The connection to agent `{agent}` is not secure, so I did not use it. Please tell "
        "whoever runs this bot."
    )
    REFUSED = sentence(
        "Agent `{agent}` does not let me in. Please tell whoever runs this bot: its key may be "
        "wrong or used up."
    )
    BUSY = sentence(
        "Agent `{agent}` has too much to do just now. Please send your message again in a while."
    )
    REJECTED = sentence(
        "Agent `{agent}` can't take this message as it is. Please write it in other words, or "
        "without the files."
    )
    SILENT = sentence(
        "Agent `{agent}` did not begin to answer. Please send your message again in a while."
    )
    CUT_OFF = sentence(
        "Here the answer of agent `{agent}` broke off. Please send your message again."
    )
    GARBLED = sentence(
        "Agent `{agent}` sent something that I can't read. Please send your message again; if that "
        "does not help, tell whoever runs this bot."
    )
    TOO_LONG = sentence(
        "The answer of agent `{agent}` is longer than I pass on, so it ends here. Please ask for "
        "a shorter one."
    )


@frozen(slots=False)
class AgentFailed(StrandlineError):
    """An agent could not be asked, or stopped answering.

    Args:
        agent_id: Which agent.
        problem: What went wrong, for the log.
        trouble: What its user is told.
    """

    agent_id: AgentId
    problem: str
    trouble: Trouble = Trouble.UNKNOWN

    def __str__(self) -> str:
        return f"agent {self.agent_id!r}: {self.problem}; the question can be sent again"


@frozen(kw_only=True)
class AgentQuestion:
    """One question to an agent.

    Args:
        request_id: The idempotency key. The same question has the same key in every life of the
            process; an agent that keeps keys gives the same answer and does the work once.
        platform_chat_id: Which of the platform's chats it belongs to.
        text: As the person wrote it.
        attachments: Files that go with it; none has been downloaded.
    """

    request_id: EventId
    platform_chat_id: PlatformChatId
    text: str
    attachments: tuple[Attachment, ...] = ()


class AgentApi(Protocol):
    """A live connection to one agent. Opened when first needed, closed with the process."""

    async def open(self) -> None:
        """Connect.

        Raises:
            AgentFailed: It can't be reached.
        """

    def ask(self, question: AgentQuestion) -> AsyncIterator[str]:
        """The answer, piece by piece; joined, the pieces are Markdown.

        Raises:
            AgentFailed: The answer can't be had, or not to its end.
        """

    async def close(self) -> None:
        """Disconnect. Called once, also after a failure."""


class AgentKind(Protocol):
    """What makes connections of one kind: a class that is an ``AgentApi``.

    Attributes:
        Options: The attrs class of the kind's ``options`` in the config.
    """

    Options: type[Any]

    def __call__(self, entry: AgentEntry) -> AgentApi:
        """A connection to the agent of this entry, whose ``options`` are such an ``Options``."""
