"""The interface between the bot and agents, the same for all protocols."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from enum import Enum
from typing import Any, Protocol

from attrs import field, frozen

from fsm.errors import StrandlineError
from fsm.values.ids import AgentId, EventId, PlatformChatId
from fsm.values.registry import AgentEntry
from fsm.values.translation import sentence


class FailureReason(Enum):
    """Why an agent failed. The value is the message to the user who asked.

    In the message, ``{agent}`` is the agent's id, and ``{retry}`` is the command that sends the
    question again.
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
        agent_id: The id of the agent.
        problem: What went wrong, for the log.
        reason: Why it went wrong; this selects the message to the user who asked.
        retry_after_seconds: How long the agent asks to wait before a retry; None if it does not.
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
        mimetype: Its media type, as the sender gave it.
        size_bytes: Its size, as the sender gave it; 0 if the sender gave none.
        chunks: Called without arguments. Returns an iterator that downloads and decrypts the
            content, and yields it in chunks of some kB. Nothing is downloaded before the call, and
            nothing is stored. The content may be longer than ``size_bytes``: count the bytes if you
            need a limit. Raises AgentFailed (``FailureReason.FILE``) if the file can't be
            downloaded.
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
        mimetype: Its media type.
        chunks: Yields its content. The bot reads it once, before it requests the next piece of the
            answer.
    """

    name: str
    mimetype: str = "application/octet-stream"
    chunks: AsyncIterator[bytes] = field(eq=False, repr=False)


@frozen(kw_only=True)
class Earlier:
    """An earlier message of a chat.

    Args:
        is_agents: True if the agent wrote it, False if a person did.
        text: Its text in Markdown, with all edits applied.
        files: The files that were sent with it.
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
        request_id: The idempotency key. The same question has the same key, also after a restart.
            An agent that stores the keys can return the stored answer instead of doing the work
            again.
        platform_chat_id: The number of the chat, a decimal number that is never used again.
        text: The question, as the person wrote it.
        files: The files that belong to the question; none is downloaded yet.
        earlier: Called without arguments. Returns an iterator over the earlier messages of this
            chat, newest first, which reads them from the room page by page: for agents that don't
            store the chat themselves. Raises AgentFailed if the room can't be read.
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
    """The position of a question that waits because the agent has too many concurrent questions.

    Args:
        position: The position in the agent's queue, counted from 1; 0 once the question is
            admitted.
    """

    position: int


class AgentApi(Protocol):
    """A connection to one agent.

    The bot opens the connection before its first question or probe. The bot closes it when the
    process ends. After a failure, the bot closes it as soon as no answer is being read from it.
    """

    async def open(self) -> None:
        """Connect to the agent.

        Raises:
            AgentFailed: The agent can't be reached.
        """

    def ask(self, question: AgentQuestion) -> AsyncGenerator[AgentPiece, None]:
        """Send the question to the agent, and yield the answer piece by piece.

        Write this method as an async generator. All texts that it yields, joined, are one Markdown
        text. The bot closes the generator early when a person stops the answer: then also end the
        agent's work, as far as the protocol allows. The bot may ask several questions at the same
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
        """Disconnect. Called once for each agent object, also if ``open`` failed."""


class AgentKind(Protocol):
    """A class that implements ``AgentApi``, for one kind of agent.

    Attributes:
        Options: The attrs class of the kind's ``options`` in the config.
    """

    Options: type[Any]

    def __call__(self, entry: AgentEntry) -> AgentApi:
        """Create a connection to the agent of this entry, but do not open it.

        ``entry.options`` is an instance of ``Options``.
        """
