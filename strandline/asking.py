"""Asking an agent, between turns: the answer grows in the room, then one commit makes it final."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, aclosing
from datetime import timedelta
from typing import Protocol

import structlog
from attrs import evolve, frozen

from durable import AlreadyHandled, Commit, Handled, Store, Stream
from ephemeral.agents import AgentFailed, AgentFile, AgentQuestion
from ephemeral.connections import Connections
from ephemeral.growing import Growing
from fsm.attachments import Attachment
from fsm.effects import AskAgent, OutboxRow, Reply
from fsm.failpoints import reach
from fsm.ids import EventId, RoomId, TransactionId
from fsm.language import Tongue, sentence
from matrix import Amendment
from strandline.amending import Amending, InHand, Stop
from strandline.languages import tongue
from strandline.replies import Replies, head_id

_log = structlog.get_logger(__name__)


class Sender(Protocol):
    """What asking needs of the delivery."""

    def submit(self, rows: tuple[OutboxRow, ...]) -> None:
        """Deliver stored rows, in order."""

    async def send_now(
        self, room_id: RoomId, content: dict[str, object], transaction_id: TransactionId
    ) -> bool:
        """Send without a row, once, if the homeserver takes it now."""


@frozen(kw_only=True)
class Pace:
    """How an answer grows.

    Args:
        edit_seconds: The least time between two edits, and how long an answer may take to be
            shown all at once.
        answer_seconds: How long an agent may take for the whole answer.
        new_transaction_id: Makes ids for the edits in between: each is new in every life of the
            process, or the homeserver would take the new text for a repeat of the old.
    """

    edit_seconds: float
    answer_seconds: float
    new_transaction_id: Callable[[], TransactionId]


class Asking:
    """Carries questions to agents, and their answers into rooms."""

    def __init__(  # noqa: PLR0913  # the parts that meet here
        self,
        *,
        store: Store,
        connections: Connections,
        delivery: Sender,
        pace: Pace,
        amending: Amending,
        replies: Replies,
        typing: Callable[[RoomId], AbstractContextManager[None]],
    ) -> None:
        self._store = store
        self._connections = connections
        self._delivery = delivery
        self._pace = pace
        self._amending = amending
        self._replies = replies
        self._typing = typing
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
            begun = await self._resume(event_id)
            with self._typing(question.room_id):
                text, begun = await self._listen(question, attempt, held, begun=begun)
                while isinstance(edit := held.interruption, Amendment) and edit.text is not None:
                    held.go_on(evolve(held.inbound, body=edit.text, version=edit.event_id))
                    question = evolve(question, text=edit.text, inbound=held.inbound)
                    text, begun = await self._listen(question, attempt, held, begun=begun)
            head = self._head(event_id, attempt) if begun else None
            await self._commit(question, _ended(question, text, held, head), attempt, head)
        finally:
            del self._heads[event_id]
            self._amending.release(held)

    async def abandon(self, taken_back: EventId, tongue: Tongue) -> bool:
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
            told = tongue.t(_TAKEN_BACK)
            reply = Reply(room_id=stream.room_id, text=told, in_reply_to=taken_back)
            await self._finish(reply, taken_back, 0, head, is_shown=head is not None)
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
        self, question: AskAgent, attempt: int, held: InHand, *, begun: bool
    ) -> tuple[str, bool]:
        asked = AgentQuestion(
            request_id=question.inbound.version or question.request_id,
            platform_chat_id=question.platform_chat_id,
            text=question.text,
            files=tuple(_file(attachment) for attachment in question.attachments),
        )
        pieces = self._connections.ask(question.agent_id, asked)
        growing = Growing(
            pieces,
            interval_seconds=self._pace.edit_seconds,
            within_seconds=self._pace.answer_seconds,
            until=held.came,
        )
        try:
            reach("agent.ask.before")
            async with aclosing(growing.so_far()) as texts:
                async for text in texts:
                    await self._show(question, text, attempt, begun=begun)
                    begun = True
        except AgentFailed as failure:
            return _with_failure(question, growing.text, failure), begun
        except TimeoutError:
            return _too_late(question, growing.text, self._pace.answer_seconds), begun
        finally:
            reach("agent.ask.after")
        if not growing.text and held.interruption is None:
            return tongue(question.language).t(
                "_The agent gave an empty answer. Please ask in other words._"
            ), begun
        return growing.text, begun

    async def _show(self, question: AskAgent, text: str, attempt: int, *, begun: bool) -> None:
        reply = _reply(question, text)
        if not begun:
            row = self._replies.head(reply, question.request_id, attempt)
            reach("answer.head.before")
            stored = await self._store.commit(
                Commit(outbox=(row,), stream_begins=Stream(question.request_id, reply.room_id))
            )
            reach("answer.head.after")
            self._delivery.submit(stored)
            return
        head = self._heads[question.request_id]
        if head.done() and (event_id := head.result()) is not None:
            txn = self._pace.new_transaction_id()
            content = self._replies.edit(text, edits=event_id, txn=txn)
            reach("answer.edit.before")
            await self._delivery.send_now(reply.room_id, content, txn)
            reach("answer.edit.after")

    async def _commit(
        self, question: AskAgent, text: str, attempt: int, head: EventId | TransactionId | None
    ) -> None:
        reply = _reply(question, text)
        await self._finish(reply, question.request_id, attempt, head, is_shown=bool(text))

    async def _finish(
        self,
        reply: Reply,
        event_id: EventId,
        attempt: int,
        head: EventId | TransactionId | None,
        *,
        is_shown: bool,
    ) -> None:
        rows = self._replies.answer(reply, event_id, attempt, head=head) if is_shown else []
        reach("answer.commit.before")
        commit = Commit(
            outbox=tuple(rows),
            handled=Handled(event_id, reply.room_id),
            stream_ends=event_id,
        )
        try:
            stored = await self._store.commit(commit)
        except AlreadyHandled:
            return  # somebody else has answered, and needs no help
        reach("answer.commit.after")
        self._delivery.submit(stored)


def _file(attachment: Attachment) -> AgentFile:
    async def chunks() -> AsyncGenerator[bytes, None]:
        raise NotImplementedError
        yield

    return AgentFile(
        name=attachment.name,
        mimetype=attachment.mimetype,
        size_bytes=attachment.size_bytes,
        chunks=chunks,
    )


_TAKEN_BACK = sentence("_The question was taken back._")


def _ended(question: AskAgent, text: str, held: InHand, head: str | None) -> str:
    """What stays of an answer; nothing, if its question was taken back before any of it showed."""
    match held.interruption:
        case Stop():
            stopped = tongue(question.language).t("_Stopped._")
            return f"{text}\n\n{stopped}" if text else stopped
        case Amendment():
            return tongue(question.language).t(_TAKEN_BACK) if head is not None else ""
        case None:
            return text


def _reply(question: AskAgent, text: str) -> Reply:
    return Reply(
        room_id=question.room_id,
        text=text,
        in_reply_to=question.request_id,
        thread=question.inbound.thread,
        mention=question.inbound.sender,
    )


def _with_failure(question: AskAgent, text: str, failure: AgentFailed) -> str:
    trouble = failure.trouble
    _log.warning(
        "agent failed", agent=failure.agent_id, trouble=trouble.name, problem=failure.problem
    )
    told = tongue(question.language).t(trouble.value, agent=failure.agent_id)
    return f"{text}\n\n{told}" if text else told


def _too_late(question: AskAgent, text: str, seconds: float) -> str:
    _log.warning("agent too late", agent=question.agent_id, answer_seconds=seconds)
    language = tongue(question.language)
    told = language.t(
        "Agent `{agent}` gave no full answer within {duration}. Please send your message again.",
        agent=question.agent_id,
        duration=language.duration(timedelta(seconds=seconds)),
    )
    return f"{text}\n\n{told}" if text else told
