"""One answer of an agent in progress: question, text so far, and interruptions."""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import structlog
from attrs import evolve, frozen

from ephemeral.agents.api import AgentFailed
from fsm import Inbound, Translator
from fsm.effects import AskAgent, Reply
from fsm.values.ids import AgentId, EventId, TransactionId
from fsm.values.messages import AnswerRef, Attachment
from fsm.values.text import as_typed
from fsm.values.translation import sentence
from matrix import MessageChange
from strandline.engine.outbox import head_id

_log = structlog.get_logger(__name__)

QUESTION_REDACTED = sentence("_The question was deleted._")

MAX_FILE_NAME_CHARS = 60
"""Maximum length of a file's name in a message of the bot."""


@frozen
class Stop:
    """A request of the asking user to stop the answer."""


Interruption = Stop | MessageChange | AskAgent
"""What can happen to a question while it is answered: a stop, an edit or redaction of one of its
messages, or a further message that joins it."""


@frozen
class AnswerTexts:
    """The bot's own sentences about an answer, in the asking user's language.

    Args:
        translator: Translates into the language of the asking user.
        agent_id: The agent that was asked.
        retry_command: The command that asks again, with its prefix.
    """

    translator: Translator
    agent_id: AgentId
    retry_command: str

    def queue_position(self, position: int) -> str:
        """Return the text that is shown while the question waits in the agent's queue.

        Args:
            position: The question's position in the queue, from 1; 0 once it is its turn. The text
                is then empty.
        """
        if not position:
            return ""
        return self.translator.gettext(
            "_Agent `{agent}` is busy. You are number {position} in the queue._",
            agent=self.agent_id,
            position=position,
        )

    def failed(self, failure: AgentFailed) -> str:
        """Log the agent's failure, and return the text about it.

        The exact problem is only in the log.
        """
        reason = failure.reason
        _log.warning(
            "agent failed", agent=failure.agent_id, reason=reason.name, problem=failure.problem
        )
        return self.translator.gettext(
            reason.value, agent=failure.agent_id, retry=self.retry_command
        )

    def timed_out(self, timeout_seconds: float) -> str:
        """Log that the answer was not complete in time, and return the text about it.

        Args:
            timeout_seconds: The time limit for the whole answer.
        """
        _log.warning("agent timed out", agent=self.agent_id, answer_seconds=timeout_seconds)
        return self.translator.gettext(
            "Agent `{agent}` did not finish its answer within {duration}. To ask again, send "
            "`{retry}`.",
            agent=self.agent_id,
            retry=self.retry_command,
            duration=self.translator.duration(timedelta(seconds=timeout_seconds)),
        )

    def empty(self) -> str:
        """The text when the answer has no text and no file."""
        return self.translator.gettext(
            "_The agent's answer was empty. Please rephrase your question._"
        )

    def files_only(self) -> str:
        """The text of an answer that consists only of files."""
        return self.translator.gettext("_The answer is in the files below._")

    def file_refused(self, name: str) -> str:
        """Return the text that says that the homeserver refused a file of the answer.

        Args:
            name: The file's name.
        """
        return self.translator.gettext(
            "_I couldn't send the file “{name}”: the homeserver rejected it._",
            name=as_typed(name[:MAX_FILE_NAME_CHARS]),
        )

    def stopped(self) -> str:
        """Return the text that is appended to an answer that the user stopped."""
        return self.translator.gettext("_Stopped._")

    def question_redacted(self) -> str:
        """The text that replaces an answer whose question was redacted."""
        return self.translator.gettext(QUESTION_REDACTED)


class FirstMessage:
    """Records whether the first message of an answer is not begun, pending, sent or refused.

    Attributes:
        question_id: The event that is answered.
        attempt: How often that event was handled before.
        is_begun: Whether the message was put into the outbox, in this process run or before.
        event_id: The message's event id; None before it is sent, and if it can't be sent.
    """

    def __init__(self, question_id: EventId, attempt: int) -> None:
        self.question_id = question_id
        self.attempt = attempt
        self.is_begun = False
        self.event_id: EventId | None = None
        self._is_settled = False

    def settle(self, event_id: EventId | None) -> None:
        """Record that the message was sent as ``event_id``, or will never be sent (None).

        Only the first call counts.
        """
        if not self._is_settled:
            self.event_id, self._is_settled = event_id, True

    @property
    def ref(self) -> EventId | TransactionId | None:
        """The id by which an edit names the message; None if there is no message to edit.

        It is the transaction id while the message is pending, then the event id.
        """
        if not self.is_begun:
            return None
        return self.event_id if self._is_settled else head_id(self.question_id, self.attempt)


class ActiveAnswer:
    """An answer in progress: its question, its final text, and what has happened to the question.

    Args:
        question: The question as it was asked.
        attempt: How often the question's event was handled before.
        texts: The bot's own sentences about the answer.
        timeout_seconds: How long the agent may take for the whole answer.

    Attributes:
        inbound: The user's message with its latest edit applied.
        joined: Later questions that are answered together with this one.
        version: The latest change of the question: the id of an edit, or of a joined message. None
            if there was no change.
        ended: The stop or the redaction after which the answer is no longer wanted; None before.
        changed: A future; done when the question was changed or stopped after it was sent to the
            agent.
        head: The first message of the answer in the room.
        text: The text to show when the answer is complete, Markdown; empty before.
        files: The Matrix event contents of the messages that show the answer's files.
        is_empty: Whether the agent's answer is empty: the text is then the bot's own.
    """

    def __init__(
        self, question: AskAgent, attempt: int, texts: AnswerTexts, *, timeout_seconds: float
    ) -> None:
        self.question = question
        self.texts = texts
        self.timeout_seconds = timeout_seconds
        self.inbound = question.inbound
        self.joined: tuple[AskAgent, ...] = ()
        self.version = question.inbound.version
        self.ended: Stop | MessageChange | None = None
        self.changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.head = FirstMessage(question.request_id, attempt)
        self.text = ""
        self.files: list[dict[str, Any]] = []
        self.is_empty = False
        self._reply = _reply_to(question)

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """The files of the question, and of the later questions that joined it."""
        of_joined = (file for joined in self.joined for file in joined.attachments)
        return (*self.question.attachments, *of_joined)

    @property
    def is_outdated(self) -> bool:
        """Whether the agent was asked an earlier form of the question, and must be asked again."""
        return self.changed.done() and self.ended is None

    def interrupt(self, by: Interruption) -> None:
        """Record what has happened to the question, and set ``changed``.

        A stop, or a redaction of the question, ends the answer: later calls do nothing. After an
        edit or a further message, the answer is outdated.
        """
        if self.ended is not None:
            return
        match by:
            case AskAgent():
                self.joined, self.version = (*self.joined, by), by.request_id
            case MessageChange() if by.target != self.inbound.event_id:
                self.joined, self.version = tuple(_amended(self.joined, by)), by.event_id
            case MessageChange(text=str(text)):
                self.inbound, self.version = edited(self.inbound, by, text), by.event_id
            case _:
                self.ended = by
        if not self.changed.done():
            self.changed.set_result(None)

    def restart(self) -> None:
        """Drop the answer so far: the question is sent to the agent again."""
        self.changed = asyncio.get_running_loop().create_future()
        self.text, self.is_empty = "", False
        self.files.clear()

    def complete(self, text: str, failure: AgentFailed | TimeoutError | None = None) -> None:
        """Set the final text: the agent's text, and a sentence of the bot if one is needed.

        Args:
            text: All text that the agent has sent.
            failure: Why the answer is incomplete; None if it is complete or was interrupted.
        """
        self.is_empty = not text and not self.files
        note = self._note(failure)
        if self.files and self.head.is_begun and not text:
            note = self.texts.files_only()
        self.text = "\n\n".join(filter(None, (text.strip("\n"), note)))

    def end(self) -> None:
        """Change the final text if the answer was stopped or its question was redacted.

        After a stop, a sentence about that is appended. The answer to a redacted question is
        removed; if a part of the answer was shown, a notice replaces it.
        """
        match self.ended:
            case Stop():
                self.text = "\n\n".join(filter(None, (self.text, self.texts.stopped())))
            case MessageChange():
                is_shown = self.head.ref is not None
                self.text = self.texts.question_redacted() if is_shown else ""
                self.is_empty = True
                self.files.clear()
                self.joined = ()  # each has its own turn

    def reply(self, text: str) -> Reply:
        """The message that shows ``text`` as this answer, with a reference to its question."""
        ref = self._reply.answer
        assert ref is not None  # noqa: S101  # see _reply_to
        files = (file.event_id for file in self.attachments)
        also = (*ref.also, *files, *(joined.request_id for joined in self.joined))
        others = (event_id for event_id in also if event_id != ref.question)
        answer = evolve(ref, also=tuple(dict.fromkeys(others)), is_empty=self.is_empty)
        return evolve(self._reply, text=text, answer=answer)

    def _note(self, failure: AgentFailed | TimeoutError | None) -> str:
        """Return the sentence that the bot adds to the agent's text; empty if none is needed."""
        match failure:
            case AgentFailed():
                return self.texts.failed(failure)
            case TimeoutError():
                return self.texts.timed_out(self.timeout_seconds)
        return self.texts.empty() if self.is_empty and not self.changed.done() else ""


def edited(inbound: Inbound, by: MessageChange, text: str) -> Inbound:
    """Return the message with an edit applied.

    Args:
        inbound: The message.
        by: The edit.
        text: The text of that edit.
    """
    unedited = inbound.body if inbound.version is None else inbound.unedited
    return evolve(inbound, body=text, version=by.event_id, unedited=unedited)


def _reply_to(question: AskAgent) -> Reply:
    """The answer's message without its text and without the joined questions."""
    again = question.again
    asked, parts = (again.event_id, again.parts) if again else (question.request_id, ())
    return Reply(
        room_id=question.room_id,
        text="",
        in_reply_to=question.request_id,
        thread=question.inbound.thread,
        mention=question.inbound.sender,
        answer=AnswerRef(chat=question.platform_chat_id, question=asked, also=parts),
    )


def _amended(joined: Iterable[AskAgent], by: MessageChange) -> Iterator[AskAgent]:
    """Yield the joined questions after an edit or a redaction of one of them.

    A redacted question is left out.
    """
    for question in joined:
        if question.request_id != by.target:
            yield question
        elif by.text is not None:
            yield evolve(question, text=by.text, inbound=edited(question.inbound, by, by.text))
