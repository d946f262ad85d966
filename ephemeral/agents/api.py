"""Agents as the bot talks to them, whatever protocol they speak."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from enum import Enum
from typing import Any, Protocol

from attrs import field, frozen

from fsm.errors import StrandlineError
from fsm.values.ids import AgentId, EventId, PlatformChatId
from fsm.values.registry import AgentEntry
from fsm.values.translation import sentence


class FailureReason(Enum):
    """What went wrong, and what is said of it to who has asked.

    ``{agent}`` is the agent's id, ``{retry}`` the command that asks again.
    """

    UNKNOWN = sentence("Agent `{agent}` could not answer. `{retry}` asks it again.")
    UNREACHABLE = sentence(
        "Agent `{agent}` can't be reached just now. `{retry}` asks it again: better in a while."
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
        "Agent `{agent}` has too much to do just now. `{retry}` asks it again: better in a while."
    )
    REJECTED = sentence(
        "Agent `{agent}` can't take this message as it is. Please write it in other words, or "
        "without the files."
    )
    SILENT = sentence("Agent `{agent}` did not begin to answer. `{retry}` asks it again.")
    FILE = sentence(
        "I could not get a file that goes with this message. Please send the file and the message "
        "again."
    )
    CUT_OFF = sentence(
        "Here the answer of agent `{agent}` broke off. `{retry}` asks for a whole one."
    )
    GARBLED = sentence(
        "Agent `{agent}` sent something that I can't read. `{retry}` asks it again; if that does "
        "not help, tell whoever runs this bot."
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
        retry_after_seconds: So long the agent wants to be left alone, if it says so.
    """

    agent_id: AgentId
    problem: str
    trouble: FailureReason = FailureReason.UNKNOWN
    retry_after_seconds: float | None = None

    def __str__(self) -> str:
        return f"agent {self.agent_id!r}: {self.problem}; the question can be sent again"


@frozen(kw_only=True)
class AgentFile:
    """A file that a person sent.

    Args:
        name: Its file name, as the sender gave it.
        mimetype: What its sender says it is.
        size_bytes: How large its sender says it is; 0 where nothing is said.
        chunks: Opens its content, decrypted, some kB at a time. Nothing is downloaded before, or
            kept after. What it yields may turn out longer than ``size_bytes``: who needs a limit
            counts. Raises AgentFailed (``FailureReason.FILE``) if it can't be had.
    """

    name: str
    mimetype: str = "application/octet-stream"
    size_bytes: int = 0
    chunks: Callable[[], AsyncIterator[bytes]] = field(eq=False, repr=False)


@frozen(kw_only=True)
class MadeFile:
    """A file that is part of an agent's answer.

    Args:
        name: Its file name.
        mimetype: What it is.
        chunks: Its content; read once, before the next piece of the answer is asked for.
    """

    name: str
    mimetype: str = "application/octet-stream"
    chunks: AsyncIterator[bytes] = field(eq=False, repr=False)


@frozen(kw_only=True)
class Earlier:
    """Something that was said earlier in a chat.

    Args:
        is_agents: The agent said it, not a person.
        text: Markdown as it now reads: edits are honoured.
        files: What came with it.
    """

    is_agents: bool
    text: str
    files: tuple[AgentFile, ...] = ()


async def _nothing_earlier() -> AsyncGenerator[Earlier, None]:
    return
    yield


@frozen(kw_only=True)
class AgentQuestion:
    """One question to an agent.

    Args:
        request_id: The idempotency key. The same question has the same key in every life of the
            process; an agent that keeps keys gives the same answer and does the work once.
        platform_chat_id: Which of the platform's chats it belongs to.
        text: As the person wrote it.
        files: Files that go with it; none has been downloaded.
        earlier: Reads what was said before in this chat from its room, newest first, page by
            page: for agents that have no memory of their own. Raises AgentFailed if it can't be
            read.
    """

    request_id: EventId
    platform_chat_id: PlatformChatId
    text: str
    files: tuple[AgentFile, ...] = ()
    earlier: Callable[[], AsyncIterator[Earlier]] = field(
        default=_nothing_earlier, eq=False, repr=False
    )


AgentPiece = str | MadeFile
"""What an answer consists of: Markdown, piece by piece, and files."""


@frozen
class QueuePosition:
    """An agent has too many questions at once; this one is in the queue.

    Args:
        position: Its place, from 1; 0 when its turn has come.
    """

    position: int


class AgentApi(Protocol):
    """A live connection to one agent.

    Opened before its first question or probe; closed with the process, or when it has failed and
    nobody reads from it any more.
    """

    async def open(self) -> None:
        """Connect.

        Raises:
            AgentFailed: It can't be reached.
        """

    def ask(self, question: AgentQuestion) -> AsyncGenerator[AgentPiece, None]:
        """The answer, piece by piece; the texts joined are Markdown.

        An async generator. Who asked may close it before its end, when a person says stop: then the
        agent's work is to end too, as far as its protocol can say so. Several questions are asked
        at once.

        Raises:
            AgentFailed: The answer can't be had, or not to its end.
        """

    async def probe(self) -> None:
        """See whether the agent is there, as cheaply as its protocol allows.

        Raises:
            AgentFailed: It is not.
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
