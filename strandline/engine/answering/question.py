"""Builds the questions for agents, with their files and the earlier messages of their chat."""

from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from typing import Any

from ephemeral.agents.api import (
    AgentFailed,
    AgentFile,
    AgentQuestion,
    Earlier,
    FailureReason,
    MadeFile,
)
from fsm.effects import AskAgent
from fsm.values.bounded import BoundedDict
from fsm.values.ids import AgentId, EventId, PlatformChatId, RoomId
from fsm.values.messages import Attachment
from matrix import Homeserver, MatrixError, QuestionAnswer, Transcript
from strandline.engine.answering.answer import ActiveAnswer

MAX_FIRST_QUESTIONS = 10_000
"""Maximum number of chats whose first question is remembered. The room's history before that
question is not read again."""


class QuestionBuilder:
    """Builds questions for agents, and uploads the files of their answers.

    Everything is read from the room when an agent needs it; nothing is stored.

    Args:
        homeserver: The connection to the homeserver.
        max_file_bytes: The maximum size of a file that is passed on to an agent or to a room.
    """

    def __init__(self, homeserver: Homeserver, *, max_file_bytes: int) -> None:
        self._homeserver = homeserver
        self._max_file_bytes = max_file_bytes
        self._first_questions = BoundedDict[tuple[RoomId, PlatformChatId], EventId](
            MAX_FIRST_QUESTIONS
        )

    def question(self, answer: ActiveAnswer) -> AgentQuestion:
        """The question in its current form, with the messages that joined it."""
        asked = answer.question
        is_edited = answer.inbound.version != asked.inbound.version and asked.again is None
        own = answer.inbound.body if is_edited else asked.text
        return AgentQuestion(
            request_id=answer.version or asked.request_id,
            platform_chat_id=asked.platform_chat_id,
            text="\n\n".join((own, *(joined.text for joined in answer.joined))),
            files=tuple(self._file(asked.agent_id, file) for file in answer.attachments),
            earlier=partial(self._earlier, asked),
        )

    async def upload(self, room_id: RoomId, file: MadeFile) -> dict[str, Any]:
        """Upload a file of an answer; return the content of the message that shows the file.

        Raises:
            MatrixError: The file is too large, or the homeserver refuses it.
        """
        return await self._homeserver.media.upload(
            room_id, file.name, file.mimetype, file.chunks, max_bytes=self._max_file_bytes
        )

    async def _earlier(self, asked: AskAgent) -> AsyncIterator[Earlier]:
        question = asked.again.event_id if asked.again else asked.request_id
        chat = asked.room_id, asked.platform_chat_id
        first = question
        try:
            async for exchange in Transcript(self._homeserver, asked.room_id).exchanges():
                is_other = exchange.mark.chat != asked.platform_chat_id
                if exchange.question.event_id == question or is_other:
                    continue
                first = exchange.question.event_id
                if not exchange.mark.is_empty:
                    for message in self._messages(asked.agent_id, exchange):
                        yield message
                if self._first_questions.get(chat) == first:
                    return
        except MatrixError as error:
            problem = f"the room can't be read: {error}"
            raise AgentFailed(asked.agent_id, problem) from error
        self._first_questions[chat] = first

    def _messages(self, agent_id: AgentId, exchange: QuestionAnswer) -> tuple[Earlier, Earlier]:
        files = tuple(self._file(agent_id, file) for file in exchange.question.attachments)
        return (
            Earlier(is_agents=True, text=exchange.answer),
            Earlier(is_agents=False, text=exchange.question.body, files=files),
        )

    def _file(self, agent_id: AgentId, attachment: Attachment) -> AgentFile:
        async def chunks() -> AsyncGenerator[bytes, None]:
            try:
                async for chunk in self._homeserver.media.download(
                    attachment, max_bytes=self._max_file_bytes
                ):
                    yield chunk
            except MatrixError as error:
                problem = f"{attachment.event_id} can't be downloaded: {error}"
                raise AgentFailed(agent_id, problem, FailureReason.FILE) from error

        return AgentFile(
            name=attachment.name,
            mimetype=attachment.mimetype,
            size_bytes=attachment.size_bytes,
            chunks=chunks,
        )
