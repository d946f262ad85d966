"""An agent on an Agent2Agent server (A2A protocol 1.0), reached through the official SDK.

The ``contextId`` is the number of the platform chat, after a configured prefix. The ``messageId``
of a question is its Matrix event id. The agent stores the history of each chat.

Lost at a restart: which task of each chat waits for input. That is fine: before the first question
of a chat, the new process requests the chat's tasks from the server. If a task already contains the
question, the bot reads the answer from that task, and the agent does not do the work twice. If a
task waits for input, the question continues that task.

A stream does not number the parts of an artifact. So the bot reads a stream only for a task that
this process has started or continued. If the task already contained the question before a restart,
the bot polls the whole task until it ends, and identifies each part by its index in the artifact. A
subscription (``SubscribeToTask``) is no alternative: the server first sends the whole task, and may
then repeat or miss parts.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress

import httpx
from a2a.client import A2ACardResolver, Client, ClientConfig, ClientFactory
from a2a.client.errors import A2AClientError
from a2a.types import (
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Role,
    SendMessageRequest,
    Task,
    TaskState,
)
from a2a.utils.errors import (
    A2AError,
    ContentTypeNotSupportedError,
    InvalidParamsError,
    InvalidRequestError,
    UnsupportedOperationError,
)
from attrs import field, frozen

from ephemeral.agents.a2a.http import a_client
from ephemeral.agents.a2a.parts import Reading, parts_in, parts_of
from ephemeral.agents.api import AgentFailed, AgentPiece, AgentQuestion, FailureReason
from ephemeral.agents.transport import AnswerTooLong, Origin, check_base, of_failure, origin
from fsm import AgentEntry

_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")

MOST_URL_CHARS = 200
"""The maximum length of an agent's URL in the log."""

POLL_SECONDS = 1.0
CANCEL_SECONDS = 3.0

MOST_KNOWN = 10_000
"""Maximum number of chats for which the process remembers that it has requested their tasks.

At the limit it forgets all of them, and requests the tasks of each chat once more.
"""

_OVER = {
    TaskState.TASK_STATE_COMPLETED,
    TaskState.TASK_STATE_FAILED,
    TaskState.TASK_STATE_CANCELED,
    TaskState.TASK_STATE_REJECTED,
}
_ASKING = {TaskState.TASK_STATE_INPUT_REQUIRED, TaskState.TASK_STATE_AUTH_REQUIRED}
_AT_WORK = {TaskState.TASK_STATE_SUBMITTED, TaskState.TASK_STATE_WORKING}
_USABLE = {*_AT_WORK, *_ASKING, TaskState.TASK_STATE_COMPLETED}
_REJECTIONS = (
    ContentTypeNotSupportedError,
    InvalidParamsError,
    InvalidRequestError,
    UnsupportedOperationError,
)


@frozen(kw_only=True)
class A2aOptions:
    """The options of an A2A agent.

    Args:
        url: The URL of the agent card, without ``/.well-known/agent-card.json``.
        token: A bearer token, sent only to the origin of ``url`` and to ``hosts``; None for no
            authentication.
        hosts: Further allowed hosts for the agent's endpoint, each ``HOST`` or ``HOST:PORT``, with
            the scheme of ``url``. Questions are sent to no other host, whatever the agent card
            says.
        context_prefix: Text before the platform chat number in each ``contextId``. It keeps the
            chats of several bots that use the same agent apart.
        file_bytes: The maximum size in bytes of a file that is sent to the agent.
        connect_seconds: The maximum time to connect to the server.
        silence_seconds: The maximum time to wait for the next data from the server.
    """

    url: str = field(validator=check_base)
    token: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = field(default=())
    context_prefix: str = ""
    file_bytes: int = 5_000_000
    connect_seconds: float = 10.0
    silence_seconds: float = 60.0

    @hosts.validator
    def _check_hosts(self, _attribute: object, hosts: tuple[str, ...]) -> None:
        for host in hosts:
            if not _is_host(host):
                problem = f"{host!r} is no host; write agents.example.net, or with :PORT after it"
                raise ValueError(problem)

    @property
    def origins(self) -> frozenset[Origin]:
        """The origins to which questions and the token may be sent.

        Raises:
            httpx.InvalidURL: ``url`` is not a valid URL.
        """
        scheme = httpx.URL(self.url).scheme
        return frozenset(
            origin(url) for url in (self.url, *(f"{scheme}://{h}" for h in self.hosts))
        )


def _is_host(text: str) -> bool:
    try:
        return bool(_HOST.fullmatch(text)) and (httpx.URL(f"http://{text}").port or 0) < 2**16
    except httpx.InvalidURL:
        return False


@frozen
class _OpenTask:
    """A task that waits for input.

    Args:
        id: The task's id; empty to start a new task.
        parts: For each artifact id, how many parts the artifact had when the task began to wait.
    """

    id: str
    parts: Mapping[str, int]


class A2aAgent:
    """A connection to one agent on an Agent2Agent server."""

    Options = A2aOptions

    def __init__(self, entry: AgentEntry) -> None:
        assert isinstance(entry.options, A2aOptions)  # noqa: S101  # the config has converted them
        self._id = entry.id
        self._options = entry.options
        self._http = a_client(
            entry.id,
            origins=entry.options.origins,
            token=entry.options.token,
            timeout=httpx.Timeout(
                entry.options.silence_seconds, connect=entry.options.connect_seconds
            ),
        )
        self._client: Client | None = None
        self._asking: dict[str, _OpenTask] = {}
        self._known: set[str] = set()

    async def open(self) -> None:
        """Do nothing: connections are made when they are needed."""

    async def ask(self, question: AgentQuestion) -> AsyncGenerator[AgentPiece, None]:
        """Send the question to the agent, and yield the answer piece by piece.

        If the caller closes the generator early, the agent's task is cancelled.

        Raises:
            AgentFailed: The agent failed, before or during the answer.
        """
        reading = Reading(self._http, self._options.origins)
        try:
            client = self._client = self._client or await self._connected()
            async with aclosing(self._answer(client, question, reading)) as pieces:
                async for piece in pieces:
                    yield piece
        except AgentFailed:
            raise
        except Exception as error:
            raise self._failed(error, begun=reading.begun) from error
        finally:
            if reading.task_id and not reading.is_over:
                await self._cancel(reading.task_id)

    async def probe(self) -> None:
        """Fetch the agent card.

        Raises:
            AgentFailed: The card can't be fetched, or all of its endpoints are on hosts that are
                not allowed.
        """
        try:
            await self._connected()
        except AgentFailed:
            raise
        except Exception as error:
            raise self._failed(error, begun=False) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _connected(self) -> Client:
        card = await A2ACardResolver(self._http, self._options.url).get_agent_card()
        allowed = [i for i in card.supported_interfaces if self._is_allowed(i.url)]
        if card.supported_interfaces and not allowed:
            named = card.supported_interfaces[0].url[:MOST_URL_CHARS]
            problem = (
                f"its card has questions sent to {named!r}, which is not the origin of its url; "
                "if that is right, name that host under options.hosts"
            )
            raise AgentFailed(self._id, problem, FailureReason.UNTRUSTED)
        del card.supported_interfaces[:]
        card.supported_interfaces.extend(allowed)
        config = ClientConfig(httpx_client=self._http, streaming=True)
        return ClientFactory(config).create(card)

    def _is_allowed(self, url: str) -> bool:
        try:
            return origin(url) in self._options.origins
        except httpx.InvalidURL:
            return False

    async def _answer(
        self, client: Client, question: AgentQuestion, reading: Reading
    ) -> AsyncGenerator[AgentPiece, None]:
        context = self._options.context_prefix + question.platform_chat_id
        before = await self._task_of(client, context, question)
        if before is not None:
            async for piece in reading.read_task(before):
                yield piece
        else:
            parts = await parts_of(question, self._options.file_bytes)
            goes_on = self._asking.pop(context, _OpenTask("", {}))
            reading.parts.update(goes_on.parts)
            message = Message(
                message_id=question.request_id,
                context_id=context,
                task_id=goes_on.id,
                role=Role.ROLE_USER,
                parts=parts,
            )
            async for response in client.send_message(SendMessageRequest(message=message)):
                async for piece in reading.read(response):
                    yield piece
        async for piece in self._poll_to_the_end(client, reading):
            yield piece
        if reading.state in _ASKING:
            self._asking[context] = _OpenTask(reading.task_id, reading.parts)
        self._raise_if_unanswered(reading)

    async def _task_of(self, client: Client, context: str, question: AgentQuestion) -> Task | None:
        """Return the task of the chat that already contains this question; None if there is none.

        If a task of the chat waits for input, remember that task, so that the question continues
        it. Once the tasks of a chat have been requested successfully, later calls return None.
        """
        if context in self._known:
            return None
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        try:
            found = await client.list_tasks(
                ListTasksRequest(
                    context_id=context, page_size=10, history_length=10, include_artifacts=True
                )
            )
        except A2AClientError:
            raise
        except A2AError:
            found = None  # a server need not list tasks
        self._known.add(context)
        for task in found.tasks if found is not None else ():
            asked = [m.message_id for m in task.history if m.role == Role.ROLE_USER]
            if asked[-1:] == [question.request_id] and task.status.state in _USABLE:
                return task
            if task.status.state in _ASKING:
                self._asking.setdefault(context, _OpenTask(task.id, parts_in(task)))
        return None

    async def _poll_to_the_end(
        self, client: Client, reading: Reading
    ) -> AsyncGenerator[AgentPiece, None]:
        """Poll the task until it ends or waits for input, and yield the new pieces of the answer.

        If a stream has brought the task that far already, do nothing.
        """
        while reading.task_id and reading.state not in {*_OVER, *_ASKING}:
            await asyncio.sleep(POLL_SECONDS)
            task = await client.get_task(GetTaskRequest(id=reading.task_id))
            async for piece in reading.read_task(task):
                yield piece

    def _raise_if_unanswered(self, reading: Reading) -> None:
        """Raise ``AgentFailed`` if the agent did not give a complete answer.

        The task was rejected, cancelled or failed. Or nothing was answered, and the agent requires
        authentication elsewhere or has reported no state of a task.
        """
        match reading.state:
            case TaskState.TASK_STATE_REJECTED:
                raise AgentFailed(self._id, "it rejects the task", FailureReason.REJECTED)
            case TaskState.TASK_STATE_FAILED:
                raise AgentFailed(self._id, "the task failed", FailureReason.UNKNOWN)
            case TaskState.TASK_STATE_CANCELED:
                raise AgentFailed(self._id, "the task was cancelled there", FailureReason.CUT_OFF)
            case TaskState.TASK_STATE_AUTH_REQUIRED if not reading.begun:
                raise AgentFailed(
                    self._id, "it wants to be let in elsewhere", FailureReason.REFUSED
                )
            case None if not reading.begun:
                raise AgentFailed(self._id, "it answered nothing", FailureReason.CUT_OFF)

    async def _cancel(self, task_id: str) -> None:
        """Ask the server to cancel a task whose answer is no longer wanted; ignore errors."""
        with suppress(Exception):
            async with asyncio.timeout(CANCEL_SECONDS):
                if self._client is not None:
                    await self._client.cancel_task(CancelTaskRequest(id=task_id))

    def _failed(self, error: Exception, *, begun: bool) -> AgentFailed:
        told = " ".join(str(error).split())[:300]
        token = self._options.token
        problem = f"{type(error).__name__}: {told.replace(token, '…') if token else told}"
        if isinstance(error, AnswerTooLong):
            return AgentFailed(self._id, problem, FailureReason.TOO_LONG)
        if isinstance(error, _REJECTIONS):
            return AgentFailed(self._id, problem, FailureReason.REJECTED)
        reason = of_failure(error, begun=begun)
        is_odd = not isinstance(error, A2AError) or isinstance(error, A2AClientError)
        if reason is FailureReason.UNKNOWN and is_odd:
            reason = FailureReason.GARBLED  # the SDK can't parse the response
        return AgentFailed(self._id, problem, reason)
