"""Asking an agent, between turns: the answer grows in the room, then one commit makes it final."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import AbstractContextManager, aclosing
from typing import Any, Protocol

import structlog
from attrs import frozen

from durable import AlreadyHandled, Commit, Handled, Store, Stream
from ephemeral.agents.api import (
    AgentFailed,
    AgentPiece,
    AgentQuestion,
    FailureReason,
    MadeFile,
    QueuePosition,
)
from ephemeral.agents.pool import AgentPool
from ephemeral.agents.stream import AnswerStream, Placeholder
from fsm.effects import AskAgent, Reply
from fsm.failpoints import reach
from fsm.outbox import OutboxRow
from fsm.values.ids import EventId, RoomId, TransactionId
from fsm.values.text import as_typed
from fsm.values.translation import Translator
from matrix import MatrixError
from strandline.engine.answering.answer import (
    TAKEN_BACK,
    Answer,
    as_reply,
    end,
    failed,
    in_line,
    too_late,
)
from strandline.engine.answering.edits import ActiveAnswer, EditTracker
from strandline.engine.outbox import OutboxBuilder, head_id
from strandline.flows.languages import tongue

_log = structlog.get_logger(__name__)

MOST_CHARS = 200_000
"""So many characters of an answer are passed on: a dozen messages. Nobody reads more."""


class Sender(Protocol):
    """What asking needs of the delivery."""

    def submit(self, rows: tuple[OutboxRow, ...]) -> None:
        """Deliver stored rows, in order."""

    async def send_now(
        self, room_id: RoomId, content: dict[str, object], transaction_id: TransactionId
    ) -> bool:
        """Send without a row, once, if the homeserver takes it now."""


class Questions(Protocol):
    """What asking needs of the rooms."""

    def question(self, asked: AskAgent, held: ActiveAnswer) -> AgentQuestion:
        """The question as it is now."""

    async def keep(self, room_id: RoomId, made: MadeFile) -> dict[str, Any]:
        """Upload a file of an answer; the content of the message that shows it.

        Raises:
            MatrixError: The homeserver does not take it.
        """


@frozen(kw_only=True)
class Pace:
    """How an answer grows.

    Args:
        edit_seconds: The least time between two edits, and how long an answer may take to be
            shown all at once.
        new_transaction_id: Makes ids for the edits in between: each is new in every life of the
            process, or the homeserver would take the new text for a repeat of the old.
    """

    edit_seconds: float
    new_transaction_id: Callable[[], TransactionId]


class Asking:
    """Carries questions to agents, and their answers into rooms."""

    def __init__(  # noqa: PLR0913  # the parts that meet here
        self,
        *,
        store: Store,
        connections: AgentPool,
        delivery: Sender,
        pace: Pace,
        amending: EditTracker,
        replies: OutboxBuilder,
        questions: Questions,
        typing: Callable[[RoomId], AbstractContextManager[None]],
        retry: str = "!retry",
    ) -> None:
        self._store = store
        self._connections = connections
        self._delivery = delivery
        self._pace = pace
        self._amending = amending
        self._replies = replies
        self._questions = questions
        self._typing = typing
        self._retry = retry
        self._heads: dict[EventId, asyncio.Future[EventId | None]] = {}

    def head_settled(self, row: OutboxRow, event_id: EventId | None) -> None:
        """The first message of an answer has left (``event_id``), or never will (None)."""
        head = self._heads.get(row.stream_of) if row.stream_of else None
        if head is not None and not head.done():
            head.set_result(event_id)

    async def answer(self, question: AskAgent, attempt: int) -> None:
        """Ask, show the answer as it grows, and commit its final form with the event."""
        event_id = question.request_id
        held = self._amending.take(question.inbound)
        self._heads[event_id] = asyncio.get_running_loop().create_future()
        try:
            answer = Answer(begun=await self._resume(event_id))
            with self._typing(question.room_id):
                await self._listen(question, attempt, held, answer)
                while held.came.done() and held.ended is None:
                    held.go_on()
                    await self._listen(question, attempt, held, answer)
            head = self._head(event_id, attempt) if answer.begun else None
            end(answer, question, held, head)
            await self._commit(question, answer, held, attempt, head)
        finally:
            del self._heads[event_id]
            self._amending.release(held)

    async def abandon(self, taken_back: EventId, tongue: Translator) -> bool:
        """End an answer of an earlier life, whose question has been taken back since.

        Args:
            taken_back: The question.
            tongue: Says so, where a part of the answer has been shown.

        Returns:
            Whether there was one.
        """
        stream = await self._store.stream(taken_back)
        if stream is None or taken_back in self._heads:
            return False
        self._heads[taken_back] = asyncio.get_running_loop().create_future()
        try:
            await self._resume(taken_back)
            head = self._head(taken_back, 0)
            told = tongue.t(TAKEN_BACK)
            reply = Reply(room_id=stream.room_id, text=told, in_reply_to=taken_back)
            rows: list[OutboxRow] = []
            if head is not None:
                rows = await asyncio.to_thread(
                    self._replies.answer, reply, taken_back, 0, head=head
                )
            await self._finish(taken_back, stream.room_id, rows)
        finally:
            del self._heads[taken_back]
        return True

    async def _resume(self, event_id: EventId) -> bool:
        """Whether an earlier life has begun to show the answer."""
        stream = await self._store.stream(event_id)
        if stream is None:
            return False
        head = self._heads[event_id]
        if stream.head_event_id is not None and not head.done():
            head.set_result(stream.head_event_id)
        return True

    def _head(self, event_id: EventId, attempt: int) -> EventId | TransactionId | None:
        """What the answer's first message is known by: it may still be on its way.

        None if the homeserver would not have it.
        """
        head = self._heads[event_id]
        return head.result() if head.done() else head_id(event_id, attempt)

    async def _listen(
        self, question: AskAgent, attempt: int, held: ActiveAnswer, answer: Answer
    ) -> None:
        """Ask, and take the answer in until it is complete, fails or is interrupted."""
        answer.text, answer.is_empty = "", False
        answer.files.clear()
        asked = self._questions.question(question, held)
        pieces = self._connections.ask(question.agent_id, asked, question.inbound.sender)
        growing = AnswerStream(
            self._pieces(question, pieces, answer),
            interval_seconds=self._pace.edit_seconds,
            within_seconds=self._seconds(question),
            until=held.came,
        )
        told = ""
        try:
            reach("agent.ask.before")
            async with aclosing(growing.so_far()) as texts:
                async for text in texts:
                    if not await self._show(question, text, attempt, held, answer):
                        growing.show_again()
        except AgentFailed as failure:
            told = failed(question, failure, self._retry)
        except TimeoutError:
            told = too_late(question, self._seconds(question), self._retry)
        finally:
            reach("agent.ask.after")
        answer.is_empty = not growing.text and not answer.files
        if answer.is_empty and not told and not held.came.done():
            told = tongue(question.language).t(
                "_The agent gave an empty answer. Please ask in other words._"
            )
        if answer.files and answer.begun and not growing.text:
            told = tongue(question.language).t("_The answer is in the files below._")
        answer.text = "\n\n".join(filter(None, (growing.text.strip("\n"), told)))

    def _seconds(self, question: AskAgent) -> float:
        return self._connections.answer_seconds(question.agent_id)

    async def _pieces(
        self, question: AskAgent, pieces: AsyncIterator[AgentPiece | QueuePosition], answer: Answer
    ) -> AsyncGenerator[str | Placeholder, None]:
        """The words of an answer. Its files are uploaded as they come, and shown at its end."""
        said = 0
        async for piece in pieces:
            if isinstance(piece, QueuePosition):
                yield Placeholder(in_line(question, piece))
                continue
            if isinstance(piece, str):
                yield piece[: MOST_CHARS - said]
                said += len(piece)
                if said > MOST_CHARS:
                    problem = f"its answer has more than {MOST_CHARS} characters"
                    raise AgentFailed(question.agent_id, problem, FailureReason.TOO_LONG)
                continue
            try:
                answer.files.append(await self._questions.keep(question.room_id, piece))
            except MatrixError as error:
                _log.warning("a file was not taken", room_id=question.room_id, problem=str(error))
                yield "\n\n" + tongue(question.language).t(
                    "_I could not pass on the file “{name}”: the homeserver does not take it._",
                    name=as_typed(piece.name[:60]),
                )

    async def _show(
        self, question: AskAgent, text: str, attempt: int, held: ActiveAnswer, answer: Answer
    ) -> bool:
        """Show how far the answer has come; whether that was possible."""
        reply = as_reply(question, text, held)
        if not answer.begun:
            row = await asyncio.to_thread(self._replies.head, reply, question.request_id, attempt)
            reach("answer.head.before")
            stored = await self._store.commit(
                Commit(outbox=(row,), stream_begins=Stream(question.request_id, reply.room_id))
            )
            reach("answer.head.after")
            self._delivery.submit(stored)
            answer.begun = True
            return True
        head = self._heads[question.request_id]
        if head.done() and (event_id := head.result()) is not None:
            txn = self._pace.new_transaction_id()
            content = await asyncio.to_thread(
                self._replies.edit, text, edits=event_id, txn=txn, answer=reply.answer
            )
            reach("answer.edit.before")
            is_shown = await self._delivery.send_now(reply.room_id, content, txn)
            reach("answer.edit.after")
            return is_shown
        return False

    async def _commit(
        self,
        question: AskAgent,
        answer: Answer,
        held: ActiveAnswer,
        attempt: int,
        head: EventId | TransactionId | None,
    ) -> None:
        reply = as_reply(question, answer.text, held, is_empty=answer.is_empty)
        rows: list[OutboxRow] = []
        if answer.text:
            instead = tongue(question.language).t(TAKEN_BACK)
            rows += await asyncio.to_thread(
                self._replies.answer,
                reply,
                question.request_id,
                attempt,
                head=head,
                instead=instead,
            )
        rows += self._replies.files(reply, question.request_id, attempt, answer.files)
        joined = tuple(Handled(j.request_id, j.room_id) for j in held.joined)
        await self._finish(question.request_id, reply.room_id, rows, joined=joined)

    async def _finish(
        self,
        event_id: EventId,
        room_id: RoomId,
        rows: Iterable[OutboxRow],
        *,
        joined: tuple[Handled, ...] = (),
    ) -> None:
        reach("answer.commit.before")
        commit = Commit(
            outbox=tuple(rows),
            handled=Handled(event_id, room_id),
            joined=joined,
            stream_ends=event_id,
        )
        try:
            stored = await self._store.commit(commit)
        except AlreadyHandled:
            return  # somebody else has answered, and needs no help
        reach("answer.commit.after")
        self._delivery.submit(stored)
