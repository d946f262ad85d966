"""Agents as the bot talks to them, whatever protocol they speak."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from attrs import frozen

from fsm.agents import AgentEntry
from fsm.attachments import Attachment
from fsm.errors import StrandlineError
from fsm.ids import AgentId, EventId, PlatformChatId


@frozen(slots=False)
class AgentFailed(StrandlineError):
    """An agent could not be asked, or stopped answering."""

    agent_id: AgentId
    problem: str

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
