"""Converts a question to parts of an Agent2Agent message, and an answer's parts to text and files.

A part (A2A protocol, "Part") is a text, structured data, a file, or the URL of a file.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable

import httpx
import orjson
from a2a.types import Message, Part, StreamResponse, Task, TaskState, TaskStatus
from google.protobuf.json_format import MessageToDict

from ephemeral.agents.api import AgentPiece, AgentQuestion, MadeFile
from ephemeral.agents.transport import Origin, origin

MOST_DATA_CHARS = 4_000
"""The maximum number of characters that are shown of a part with structured data."""

_ENDS_WITH_WORDS = {
    TaskState.TASK_STATE_FAILED,
    TaskState.TASK_STATE_REJECTED,
    TaskState.TASK_STATE_INPUT_REQUIRED,
    TaskState.TASK_STATE_AUTH_REQUIRED,
}


async def parts_of(question: AgentQuestion, most_bytes: int) -> list[Part]:
    """Download the question's files, and return its text and files as parts.

    A file over the size limit becomes a text part that says so.

    Args:
        question: The question.
        most_bytes: The maximum size of a file in bytes.

    Raises:
        AgentFailed: A file can't be downloaded.
    """
    parts = [Part(text=question.text)]
    for file in question.files:
        content = bytearray()
        if file.size_bytes <= most_bytes:
            async for chunk in file.chunks():
                content += chunk
                if len(content) > most_bytes:
                    break
        if file.size_bytes > most_bytes or len(content) > most_bytes:
            named = f"[File {file.name!r} ({file.mimetype}) is too large to be sent]"
            parts.append(Part(text=named))
        else:
            parts.append(Part(raw=bytes(content), filename=file.name, media_type=file.mimetype))
    return parts


def parts_in(task: Task) -> dict[str, int]:
    """The number of parts of each artifact of an A2A task, by the artifact's id."""
    return {artifact.artifact_id: len(artifact.parts) for artifact in task.artifacts}


class Reading:
    """Reads one answer from the events of a stream, or from a task that is polled.

    Args:
        http: The client for files that the agent names by URL.
        origins: The origins from which files are fetched. A file elsewhere is shown as a link.

    Attributes:
        task_id: The id of the task; empty if none is known, or if the agent answers with a message
            instead of a task.
        state: The task's last known ``TaskState``; None if none is known.
        begun: Whether a piece of the answer was yielded.
        parts: For each artifact id, how many parts were yielded, or belong to earlier answers and
            are skipped.
    """

    def __init__(self, http: httpx.AsyncClient, origins: Collection[Origin]) -> None:
        self.task_id = ""
        self.state: int | None = None
        self.begun = False
        self.parts: dict[str, int] = {}
        self._http = http
        self._origins = origins
        self._artifact = ""

    @property
    def is_over(self) -> bool:
        """Whether the task has ended or waits for input."""
        at_work = (TaskState.TASK_STATE_SUBMITTED, TaskState.TASK_STATE_WORKING)
        return self.state is not None and self.state not in at_work

    async def read(self, response: StreamResponse) -> AsyncGenerator[AgentPiece, None]:
        """Yield the pieces of the answer in one event of a stream, and record the task's state."""
        match response.WhichOneof("payload"):
            case "message":
                async for piece in self._message(response.message):
                    yield piece
            case "task":
                async for piece in self.read_task(response.task):
                    yield piece
            case "artifact_update":
                update = response.artifact_update
                self.task_id = update.task_id or self.task_id
                if not update.append:
                    self.parts.pop(update.artifact.artifact_id, None)
                async for piece in self._artifact_parts(
                    update.artifact.artifact_id, update.artifact.parts
                ):
                    yield piece
            case "status_update":
                self.task_id = response.status_update.task_id or self.task_id
                async for piece in self._status(response.status_update.status):
                    yield piece

    async def read_task(self, task: Task) -> AsyncGenerator[AgentPiece, None]:
        """Yield the pieces of a whole task that were not yielded yet, and record its state."""
        self.task_id = task.id
        for artifact in task.artifacts:
            new = list(artifact.parts)[self.parts.get(artifact.artifact_id, 0) :]
            async for piece in self._artifact_parts(artifact.artifact_id, new):
                yield piece
        async for piece in self._status(task.status):
            yield piece

    async def _status(self, status: TaskStatus) -> AsyncGenerator[AgentPiece, None]:
        before, self.state = self.state, status.state
        is_said = not self.begun and self.state == TaskState.TASK_STATE_COMPLETED
        if before != self.state and (is_said or self.state in _ENDS_WITH_WORDS):
            async for piece in self._message(status.message):
                yield piece

    async def _message(self, message: Message) -> AsyncGenerator[AgentPiece, None]:
        if message.parts and self.begun:
            yield "\n\n"
        async for piece in self._parts(message.parts):
            yield piece

    async def _artifact_parts(
        self, artifact_id: str, parts: Iterable[Part]
    ) -> AsyncGenerator[AgentPiece, None]:
        parts = list(parts)
        if parts and self.begun and artifact_id != self._artifact:
            yield "\n\n"
        self._artifact = artifact_id
        self.parts[artifact_id] = self.parts.get(artifact_id, 0) + len(parts)
        async for piece in self._parts(parts):
            yield piece

    async def _parts(self, parts: Iterable[Part]) -> AsyncGenerator[AgentPiece, None]:
        for part in parts:
            self.begun = True
            match part.WhichOneof("content"):
                case "text":
                    yield part.text
                case "data":
                    yield _block(part)
                case "raw":
                    yield MadeFile(
                        name=part.filename or "file",
                        mimetype=part.media_type or "application/octet-stream",
                        chunks=_one(part.raw),
                    )
                case "url":
                    yield self._from_elsewhere(part)

    def _from_elsewhere(self, part: Part) -> AgentPiece:
        name = part.filename or part.url.rpartition("/")[2] or "file"
        if origin(part.url) in self._origins:
            mimetype = part.media_type or "application/octet-stream"
            return MadeFile(name=name, mimetype=mimetype, chunks=self._fetched(part.url))
        plain = "".join(c for c in name if c.isalnum() or c in " ._-")
        is_link = part.url.startswith(("https://", "http://")) and not set(part.url) & set(" <>()")
        return f"\n\n[{plain}]({part.url})" if is_link else f"\n\n{plain}"

    async def _fetched(self, url: str) -> AsyncIterator[bytes]:
        async with self._http.stream("GET", url) as response:
            async for chunk in response.aiter_bytes():
                yield chunk


async def _one(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _block(part: Part) -> str:
    shown = orjson.dumps(MessageToDict(part.data), option=orjson.OPT_INDENT_2).decode()
    if len(shown) > MOST_DATA_CHARS:
        shown = f"{shown[:MOST_DATA_CHARS]}\n…"
    return f"\n\n```json\n{shown.replace('```', '` ` `')}\n```\n\n"
