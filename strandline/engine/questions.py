"""Questions to agents that are not completely answered, with their files."""

from contextlib import suppress

from attrs import evolve, field, frozen

from durable.store import AlreadyHandled, Commit, Handled, QuestionFiles
from fsm import Attachment, Inbound
from fsm.effects import AskAgent
from fsm.values.ids import EventId
from matrix import HomeserverReader
from strandline.engine.answering.asking import Asking
from strandline.engine.answering.edits import EditTracker
from strandline.engine.failures import Translators
from strandline.engine.retrying_store import RetryingStore


@frozen(kw_only=True)
class PendingQuestions:
    """Keeps each question's files until it is answered, and drops redacted questions.

    Args:
        store: The store of handled events and of answers in progress.
        reader: Reads the files again after a restart.
        asking: Answers questions.
        edits: Knows the current form of each message.
        translators: The languages of notices.
        question_files: The questions with files that an earlier run has not answered.
    """

    _store: RetryingStore
    _reader: HomeserverReader
    _asking: Asking
    _edits: EditTracker
    _translators: Translators
    _question_files: dict[EventId, QuestionFiles]
    _files: dict[EventId, tuple[Attachment, ...]] = field(init=False, factory=dict)

    def current(self, inbound: Inbound) -> Inbound | None:
        """The event in its current form, with its question's files; None if it was redacted."""
        amended = self._edits.amended(inbound)
        if amended is None:
            return None
        files = self._files.get(inbound.event_id, ())
        new = (file for file in files if file not in amended.attachments)
        return evolve(amended, attachments=(*amended.attachments, *new))

    async def answer(self, question: AskAgent, attempt: int) -> None:
        """Ask the agent, and commit the answer. If that fails, the files are kept for a retry."""
        self._files[question.request_id] = tuple(
            a for a in question.attachments if a.event_id != question.request_id
        )
        await self._asking.answer(question, attempt)

    async def restore_files(self, event_id: EventId) -> None:
        """Read the files again that belonged to the question before a restart."""
        stored = self._question_files.pop(event_id, None)
        if stored is None:
            return
        found = [await self._reader.event(stored.room_id, file) for file in stored.files]
        self._files[event_id] = tuple(a for i in found if i is not None for a in i.attachments)

    def forget_files(self, event_id: EventId) -> None:
        """Drop the files of a question that is answered, or of an event that is no question."""
        self._files.pop(event_id, None)

    async def drop_redacted(self, redaction: Inbound) -> None:
        """Drop a redacted question, if an earlier run has begun to answer it.

        Only a redaction in the question's own room counts.
        """
        if redaction.about is None:
            return
        begun = self._question_files.get(redaction.about), await self._store.stream(redaction.about)
        if redaction.room_id in {answer.room_id for answer in begun if answer is not None}:
            await self.drop(redaction.about, redaction)

    async def drop(self, event_id: EventId, inbound: Inbound) -> None:
        """Mark a message that was redacted before it was answered as handled.

        Args:
            event_id: The message.
            inbound: The event that is being handled: the message, or its redaction.
        """
        self._question_files.pop(event_id, None)
        translator = await self._translators.of(inbound.sender)
        if not await self._asking.withdraw(event_id, translator):
            with suppress(AlreadyHandled):
                await self._store.commit(Commit(handled=Handled(event_id, inbound.room_id)))
