"""Asks agents until the answer is complete, and again if the question changes."""

from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from typing import Any, Protocol

import structlog
from attrs import frozen

from ephemeral.agents.api import AgentFailed, AgentPiece, AgentQuestion, MadeFile, QueuePosition
from ephemeral.agents.pool import AgentPool
from ephemeral.agents.stream import AnswerStream, Placeholder
from fsm.effects import AskAgent
from fsm.failpoints import reach
from fsm.values.ids import EventId, RoomId
from fsm.values.translation import Translator
from matrix import MatrixError
from strandline.engine.answering.answer import ActiveAnswer, AnswerTexts
from strandline.engine.answering.edits import EditTracker
from strandline.engine.answering.publisher import AnswerPublisher
from strandline.flows.languages import translator_for

_log = structlog.get_logger(__name__)


class RoomAccess(Protocol):
    """Reads questions from rooms, and uploads the files of answers to them."""

    def question(self, answer: ActiveAnswer) -> AgentQuestion:
        """Return the answer's question in its current form, as it is sent to the agent."""

    async def upload(self, room_id: RoomId, file: MadeFile) -> dict[str, Any]:
        """Upload a file of an answer; return the content of the message that shows the file.

        Raises:
            MatrixError: The file is too large, or the homeserver refuses it.
        """


@frozen(kw_only=True)
class AnswerSettings:
    """Settings for showing answers.

    Args:
        edit_seconds: The minimum time between two edits of a streamed answer. An answer that is
            complete in half of that time is sent as one message.
        retry_command: The command that asks again, with its prefix.
    """

    edit_seconds: float
    retry_command: str = "!retry"


class Asking:
    """Sends questions to agents, and passes their answers to the publisher.

    Args:
        agents: The connections to the agents.
        rooms: Reads the questions and uploads files.
        edits: Interrupts answers whose questions change.
        publisher: Shows the answers.
        settings: How answers are shown.
    """

    def __init__(
        self,
        agents: AgentPool,
        rooms: RoomAccess,
        edits: EditTracker,
        publisher: AnswerPublisher,
        *,
        settings: AnswerSettings,
    ) -> None:
        self._agents = agents
        self._rooms = rooms
        self._edits = edits
        self._publisher = publisher
        self._settings = settings

    async def answer(self, question: AskAgent, attempt: int) -> None:
        """Ask the agent, show the answer while it arrives, and commit it.

        The commit also marks the question's event as handled.

        Args:
            question: The question.
            attempt: How often the question's event was handled before.
        """
        timeout_seconds = self._agents.answer_seconds(question.agent_id)
        translator = translator_for(question.language)
        texts = AnswerTexts(translator, question.agent_id, self._settings.retry_command)
        answer = ActiveAnswer(question, attempt, texts, timeout_seconds=timeout_seconds)
        self._edits.track(answer)
        try:
            async with self._publisher.following(answer.head):
                with self._publisher.typing(question.room_id):
                    await self._ask(answer)
                    while answer.is_outdated:
                        answer.restart()
                        await self._ask(answer)
                await self._publisher.commit(answer)
        finally:
            self._edits.release(answer)

    async def withdraw(self, question_id: EventId, translator: Translator) -> bool:
        """Remove the partial answer of an earlier run to a question that was redacted since.

        Args:
            question_id: The redacted event.
            translator: Translates the notice that replaces the answer.

        Returns:
            Whether there was such an answer.
        """
        return await self._publisher.withdraw(question_id, translator)

    async def _ask(self, answer: ActiveAnswer) -> None:
        """Ask the agent, and show the answer until it is complete, fails or is interrupted."""
        asked, sender = self._rooms.question(answer), answer.question.inbound.sender
        pieces = self._agents.ask(answer.question.agent_id, asked, sender)
        texts = self._texts(answer, pieces)
        stream = AnswerStream(
            texts,
            interval_seconds=self._settings.edit_seconds,
            timeout_seconds=answer.timeout_seconds,
            until=answer.changed,
        )
        failure: AgentFailed | TimeoutError | None = None
        try:
            reach("agent.ask.before")
            await stream.show(partial(self._publisher.show, answer))
        except (AgentFailed, TimeoutError) as error:
            failure = error
        finally:
            reach("agent.ask.after")
        answer.complete(stream.text, failure)

    async def _texts(
        self, answer: ActiveAnswer, pieces: AsyncIterator[AgentPiece | QueuePosition]
    ) -> AsyncGenerator[str | Placeholder, None]:
        """Yield the texts of the answer, and the question's positions in the queue as placeholders.

        Files are uploaded when they arrive, and shown after the text. A file that the homeserver
        refuses becomes a sentence in the text.
        """
        async for piece in pieces:
            match piece:
                case QueuePosition(position=position):
                    yield Placeholder(answer.texts.queue_position(position))
                case MadeFile():
                    if problem := await self._upload(answer, piece):
                        yield f"\n\n{problem}"
                case str():
                    yield piece

    async def _upload(self, answer: ActiveAnswer, file: MadeFile) -> str:
        """Upload the file and add it to the answer.

        Returns:
            A sentence for the user if the homeserver refuses the file; empty otherwise.
        """
        room_id = answer.question.room_id
        try:
            answer.files.append(await self._rooms.upload(room_id, file))
        except MatrixError as error:
            _log.warning("a file was refused", room_id=room_id, problem=str(error))
            return answer.texts.file_refused(file.name)
        return ""
