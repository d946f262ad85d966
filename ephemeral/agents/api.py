"""The interface of agents, for all protocols."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from enum import Enum
from typing import Any, Protocol

from attrs import field, frozen

from fsm.errors import StrandlineError
from fsm.values.ids import AgentId, EventId, PlatformChatId
from fsm.values.registry import AgentEntry
from fsm.values.translation import sentence


class FailureReason(Enum):
    """Why an agent failed. The value is the sentence for the asking user.

    ``{agent}`` is the agent's id, ``{retry}`` the command that asks again.
    """

    UNKNOWN = sentence("Agent `{agent}` could not answer. To ask again, send `{retry}`.")
    UNREACHABLE = sentence(
        "Agent `{agent}` can't be reached right now. To ask again later, send `{retry}`."
    )
    UNTRUSTED = sentence(
        "The connection to agent `{agent}` is not secure, so I didn't send your message. "
        "Please tell the person who runs this bot."
    )
    REFUSED = sentence(
        "Agent `{agent}` rejected my credentials. Please tell the person who runs this bot: "
        "the key may be wrong, or its quota used up."
    )
    BUSY = sentence("Agent `{agent}` is overloaded right now. To ask again later, send `{retry}`.")
    REJECTED = sentence(
        "Agent `{agent}` can't process this message. Please rephrase it, or send it without files."
    )
    SILENT = sentence(
        "Agent `{agent}` did not start to answer in time. To ask again, send `{retry}`."
    )
    FILE = sentence(
        "I couldn't download a file that belongs to this message. Please send the file and the "
        "message again."
    )
    CUT_OFF = sentence(
        "The answer of agent `{agent}` was cut off here. To ask again, send `{retry}`."
    )
    GARBLED = sentence(
        "Agent `{agent}` sent an answer that I can't read. To ask again, send `{retry}`; if "
        "that doesn't help, tell the person who runs this bot."
    )
    TOO_LONG = sentence(
        "The answer of agent `{agent}` is too long, so I cut it off here. Please ask for a "
        "shorter one."
    )


@frozen(slots=False)
class AgentFailed(StrandlineError):
    """An agent could not be asked, or failed during its answer.

    Args:
        agent_id: Which agent.
        problem: What went wrong, for the log.
        reason: The reason for the asking user.
        retry_after_seconds: The wait before a retry, if the agent asks for one.
    """

    agent_id: AgentId
    problem: str
    reason: FailureReason = FailureReason.UNKNOWN
    retry_after_seconds: float | None = None

    def __str__(self) -> str:
        return f"agent {self.agent_id!r}: {self.problem}; the question can be sent again"


@frozen(kw_only=True)
class AgentFile:
    """A file that a person sent.

    Args:
        name: Its file name, as the sender gave it.
        mimetype: Its type, as the sender gave it.
        size_bytes: Its size, as the sender gave it; 0 if they gave none.
        chunks: Downloads the content, decrypted, in chunks of some kB. Nothing is downloaded before
            the call, or stored. The content may be longer than ``size_bytes``: count the bytes if
            you need a limit. Raises AgentFailed (``FailureReason.FILE``) if it can't be downloaded.
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
        mimetype: Its type.
        chunks: Its content in chunks; read once, before the next piece of the answer is requested.
    """

    name: str
    mimetype: str = "application/octet-stream"
    chunks: AsyncIterator[bytes] = field(eq=False, repr=False)


@frozen(kw_only=True)
class Earlier:
    """An earlier message of a chat.

    Args:
        is_agents: Whether the agent wrote it, not a person.
        text: Markdown, with all edits applied.
        files: Its files.
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
        request_id: The idempotency key. The same question has the same key, also after a restart;
            an agent that stores keys gives the same answer and does the work once.
        platform_chat_id: The platform's number for the chat.
        text: As the person wrote it.
        files: Its files; none is downloaded yet.
        earlier: Reads the earlier messages of this chat from its room, newest first, page by page:
            for agents that don't store the chat themselves. Raises AgentFailed if the room can't be
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
"""A part of an answer: some Markdown, or a file."""


@frozen
class QueuePosition:
    """The question waits in the agent's queue, because the agent has too many questions at once.

    Args:
        position: Its position, from 1; 0 once it is admitted.
    """

    position: int


class AgentApi(Protocol):
    """A connection to one agent.

    It is opened before its first question or probe. It is closed when the process ends, or after a
    failure, when no answer is being read from it.
    """

    async def open(self) -> None:
        """Connect.

        Raises:
            AgentFailed: The agent can't be reached.
        """

    def ask(self, question: AgentQuestion) -> AsyncGenerator[AgentPiece, None]:
        """The answer, piece by piece; its texts, joined, are Markdown.

        An async generator. It is closed early when a person stops the answer: then also end the
        agent's work, as far as the protocol allows. Several questions may be asked at the same
        time.

        Raises:
            AgentFailed: The agent failed, before or during the answer.
        """

    async def probe(self) -> None:
        """Check whether the agent can be reached, as cheaply as its protocol allows.

        Raises:
            AgentFailed: The agent can't be reached.
        """

    async def close(self) -> None:
        """Disconnect. Called once, also after a failure."""


class AgentKind(Protocol):
    """A class that implements ``AgentApi``, for one kind of agent.

    Attributes:
        Options: The attrs class of the kind's ``options`` in the config.
    """

    Options: type[Any]

    def __call__(self, entry: AgentEntry) -> AgentApi:
        """Create a connection to the agent of this entry; its ``options`` are an ``Options``."""
