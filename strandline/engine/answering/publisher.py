"""Shows answers in their rooms: a first message, edits while more arrives, the final form."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Protocol

from durable.store import AlreadyHandled, Commit, Handled, Store, UnfinishedAnswer
from fsm.effects import Reply
from fsm.failpoints import reach
from fsm.outbox import OutboxRow
from fsm.values.ids import EventId, RoomId, TransactionId
from fsm.values.translation import Translator
from strandline.engine.answering.answer import QUESTION_REDACTED, ActiveAnswer, FirstMessage
from strandline.engine.outbox import OutboxBuilder


class Sender(Protocol):
    """Sends messages for the publisher. In the bot, that is ``matrix.Delivery``."""

    def submit(self, rows: tuple[OutboxRow, ...]) -> None:
        """Deliver stored rows, in order."""

    async def send_now(
        self, room_id: RoomId, content: dict[str, object], transaction_id: TransactionId
    ) -> bool:
        """Send a message without a row, once; return whether the homeserver accepted it."""


class AnswerPublisher:
    """Shows answers in their rooms, and commits their final form.

    Args:
        store: The store of rows and of the progress of answers.
        delivery: Sends the messages.
        builder: Makes outbox rows of answers.
        typing: Called with a room. Returns a context manager: while it is entered, the room shows
            that the bot is typing.
        new_transaction_id: Returns a new transaction id, for an edit of a streamed answer. No other
            process run may use the same ids: the homeserver would take a new edit for a repeated
            one.
    """

    def __init__(
        self,
        store: Store,
        delivery: Sender,
        builder: OutboxBuilder,
        *,
        typing: Callable[[RoomId], AbstractContextManager[None]],
        new_transaction_id: Callable[[], TransactionId],
    ) -> None:
        self._store = store
        self._delivery = delivery
        self._builder = builder
        self.typing = typing
        self._new_transaction_id = new_transaction_id
        self._heads: dict[EventId, FirstMessage] = {}

    def head_settled(self, row: OutboxRow, event_id: EventId | None) -> None:
        """Record the outcome of a row, if the row is the first message of an answer in progress.

        Args:
            row: The outbox row.
            event_id: The event that the homeserver created for the row; None if the row failed.
        """
        head = self._heads.get(row.stream_of) if row.stream_of else None
        if head is not None:
            head.settle(event_id)

    @asynccontextmanager
    async def following(self, head: FirstMessage) -> AsyncIterator[None]:
        """While the body runs, record in ``head`` whether the answer's first message was sent.

        If an earlier run has begun that message, ``head`` says so at once: the message is then
        edited, and no second one is sent.
        """
        self._heads[head.question_id] = head
        try:
            stream = await self._store.stream(head.question_id)
            if stream is not None:
                head.is_begun = True
                if stream.head_event_id is not None:
                    head.settle(stream.head_event_id)
            yield
        finally:
            del self._heads[head.question_id]

    async def show(self, answer: ActiveAnswer, text: str) -> bool:
        """Show ``text``, the answer so far: send the answer's first message, or edit it.

        Returns:
            Whether the message was stored for delivery, or the edit was sent. If not, the caller
            may try again with a newer text.
        """
        reply, event_id = answer.reply(text), answer.head.event_id
        if not answer.head.is_begun:
            await self._begin(reply, answer.head)
            return True
        return event_id is not None and await self._edit(reply, event_id)

    async def commit(self, answer: ActiveAnswer) -> None:
        """Commit and deliver the final form of the answer.

        The commit also marks the question's event, and those of joined questions, as handled.
        """
        answer.end()
        head, reply = answer.head, answer.reply(answer.text)
        joined = tuple(Handled(joined.request_id, joined.room_id) for joined in answer.joined)
        rows: list[OutboxRow] = []
        if reply.text:
            instead = answer.texts.question_redacted()
            rows += await self._rendered(reply, head, instead=instead)
        rows += self._builder.files(reply, head.question_id, head.attempt, answer.files)
        await self._finish(head.question_id, reply.room_id, rows, joined=joined)

    async def withdraw(self, question_id: EventId, translator: Translator) -> bool:
        """Remove the partial answer of an earlier run to a question that was redacted since.

        Args:
            question_id: The redacted event.
            translator: Translates the notice that replaces the answer.

        Returns:
            Whether there was such an answer. False if this run is answering the question.
        """
        stream = await self._store.stream(question_id)
        if stream is None or question_id in self._heads:
            return False
        text = translator.gettext(QUESTION_REDACTED)
        reply = Reply(room_id=stream.room_id, text=text, in_reply_to=question_id)
        head = FirstMessage(question_id, 0)
        async with self.following(head):
            rows = [] if head.ref is None else await self._rendered(reply, head)
            await self._finish(question_id, stream.room_id, rows)
        return True

    async def _begin(self, reply: Reply, head: FirstMessage) -> None:
        row = await asyncio.to_thread(self._builder.head, reply, head.question_id, head.attempt)
        reach("answer.head.before")
        stored = await self._store.commit(
            Commit(outbox=(row,), stream_begins=UnfinishedAnswer(head.question_id, reply.room_id))
        )
        reach("answer.head.after")
        self._delivery.submit(stored)
        head.is_begun = True

    async def _edit(self, reply: Reply, event_id: EventId) -> bool:
        txn = self._new_transaction_id()
        content = await asyncio.to_thread(
            self._builder.edit_content, reply.text, edits=event_id, txn=txn, answer=reply.answer
        )
        reach("answer.edit.before")
        is_shown = await self._delivery.send_now(reply.room_id, content, txn)
        reach("answer.edit.after")
        return is_shown

    async def _rendered(
        self, reply: Reply, head: FirstMessage, *, instead: str = ""
    ) -> list[OutboxRow]:
        """The rows of a complete answer, made in a thread."""
        return await asyncio.to_thread(
            self._builder.answer,
            reply,
            head.question_id,
            head.attempt,
            head=head.ref,
            instead=instead,
        )

    async def _finish(
        self,
        question_id: EventId,
        room_id: RoomId,
        rows: Iterable[OutboxRow],
        *,
        joined: tuple[Handled, ...] = (),
    ) -> None:
        commit = Commit(
            outbox=tuple(rows),
            handled=Handled(question_id, room_id),
            also_handled=joined,
            stream_ends=question_id,
        )
        reach("answer.commit.before")
        try:
            stored = await self._store.commit(commit)
        except AlreadyHandled:
            return  # the event was answered before
        reach("answer.commit.after")
        self._delivery.submit(stored)
