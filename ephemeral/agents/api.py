"""The interface of agents, whatever protocol they speak."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from enum import Enum
from typing import Any, Protocol

from attrs import field, frozen

from fsm.errors import StrandlineError
from fsm.values.ids import AgentId, EventId, PlatformChatId
from fsm.values.registry import AgentEntry
from fsm.values.translation import sentence


class FailureReason(Enum):
    """Why an agent failed. The value is the sentence that the asker is shown.

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
    """An agent could not be asked, or did not answer to the end.

    Args:
        agent_id: Which agent.
        problem: What went wrong, for the log.
        reason: What the asker is told.
        retry_after_seconds: How long the agent asks the bot to wait, if it does.
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
        chunks: Opens its content, decrypted, some kB at a time. Nothing is downloaded before, or
            kept after. The content may be longer than ``size_bytes``: count where you need a
            limit. Raises AgentFailed (``FailureReason.FILE``) if it can't be downloaded.
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
        chunks: Its content; read once, before the next piece of the answer is asked for.
    """

    name: str
    mimetype: str = "application/octet-stream"
    chunks: AsyncIterator[bytes] = field(eq=False, repr=False)


@frozen(kw_only=True)
class Earlier:
    """An earlier message of a chat.

    Args:
        is_agents: The agent wrote it, not a person.
        text: Markdown, with all edits applied.
        files: The files that came with it.
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
        earlier: Reads the earlier messages of this chat from its room, newest first, page by page:
            for agents that have no memory of their own. Raises AgentFailed if the room can't be
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
    """The agent has too many questions at once: this one is in its queue.

    Args:
        position: Its position, from 1; 0 once it is admitted.
    """

    position: int


class AgentApi(Protocol):
    """A live connection to one agent.

    It is opened before its first question or probe, and closed with the process, or when it has
    failed and no answer is read from it any more.
    """

    async def open(self) -> None:
        """Connect.

        Raises:
            AgentFailed: It can't be reached.
        """

    def ask(self, question: AgentQuestion) -> AsyncGenerator[AgentPiece, None]:
        """The answer, piece by piece; the texts joined are Markdown.

        An async generator. It may be closed before its end, when a person stops the answer: end the
        agent's work then too, as far as its protocol allows. Several questions are asked at once.

        Raises:
            AgentFailed: The answer can't be had, or not to its end.
        """

    async def probe(self) -> None:
        """Check whether the agent can be reached, as cheaply as its protocol allows.

        Raises:
            AgentFailed: It can't.
        """

    async def close(self) -> None:
        """Disconnect. Called once, also after a failure."""


class AgentKind(Protocol):
    """A class that implements ``AgentApi``: makes connections to agents of one kind.

    Attributes:
        Options: The attrs class of the kind's ``options`` in the config.
    """

    Options: type[Any]

    def __call__(self, entry: AgentEntry) -> AgentApi:
        """A connection to the agent of this entry, whose ``options`` are such an ``Options``."""
