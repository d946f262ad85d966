"""Questions to agents whose answers are not complete, with the questions' files."""

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
    """Has questions answered, keeps their files until then, and drops redacted questions.

    Args:
        store: The store of handled events and of answers in progress.
        reader: Reads the files again after a restart.
        asking: Asks agents, and publishes their answers.
        edits: Knows the edits and redactions of each message.
        translators: Finds the translator for the language of a notice.
        question_files: The questions with files whose answers earlier runs did not complete, by the
            id of the event that asked.
    """

    _store: RetryingStore
    _reader: HomeserverReader
    _asking: Asking
    _edits: EditTracker
    _translators: Translators
    _question_files: dict[EventId, QuestionFiles]
    _files: dict[EventId, tuple[Attachment, ...]] = field(init=False, factory=dict)

    def current(self, inbound: Inbound) -> Inbound | None:
        """Return the event with its latest edit and its question's files.

        None if the event was redacted.
        """
        amended = self._edits.amended(inbound)
        if amended is None:
            return None
        files = self._files.get(inbound.event_id, ())
        new = (file for file in files if file not in amended.attachments)
        return evolve(amended, attachments=(*amended.attachments, *new))

    async def answer(self, question: AskAgent, attempt: int) -> None:
        """Ask the agent, and commit the answer. If that fails, the files are kept for a retry.

        Args:
            question: The question.
            attempt: How often the question's event was handled before.
        """
        self._files[question.request_id] = tuple(
            a for a in question.attachments if a.event_id != question.request_id
        )
        await self._asking.answer(question, attempt)

    async def restore_files(self, event_id: EventId) -> None:
        """Read the question's files again from the room if they were stored before a restart.

        Nothing happens for an event without such files.
        """
        stored = self._question_files.pop(event_id, None)
        if stored is None:
            return
        found = [await self._reader.event(stored.room_id, file) for file in stored.files]
        self._files[event_id] = tuple(a for i in found if i is not None for a in i.attachments)

    def forget_files(self, event_id: EventId) -> None:
        """Drop the files that are kept in memory for the event, if there are any."""
        self._files.pop(event_id, None)

    async def drop_redacted(self, redaction: Inbound) -> None:
        """Drop the question that was redacted, if an earlier run did not complete the answer to it.

        Only a redaction in the question's own room counts. The question is known by its stored
        files or by its partial answer.

        Args:
            redaction: The redaction; its ``about`` is the redacted event.
        """
        if redaction.about is None:
            return
        begun = self._question_files.get(redaction.about), await self._store.stream(redaction.about)
        if redaction.room_id in {answer.room_id for answer in begun if answer is not None}:
            await self.drop(redaction.about, redaction)

    async def drop(self, event_id: EventId, inbound: Inbound) -> None:
        """Mark a redacted message as handled, and remove a partial answer to it.

        Args:
            event_id: The redacted message.
            inbound: The event that is being handled: that message, or its redaction.
        """
        self._question_files.pop(event_id, None)
        translator = await self._translators.of(inbound.sender)
        if not await self._asking.withdraw(event_id, translator):
            with suppress(AlreadyHandled):
                await self._store.commit(Commit(handled=Handled(event_id, inbound.room_id)))
