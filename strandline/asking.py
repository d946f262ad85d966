"""Asking an agent, between turns: the answer grows in the room, then one commit makes it final."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Protocol

import structlog
from attrs import frozen

from durable import Commit, Handled, Store, Stream
from ephemeral.agents import AgentFailed, AgentQuestion
from ephemeral.connections import Connections
from ephemeral.growing import Growing
from fsm.effects import AskAgent, OutboxRow, Reply
from fsm.failpoints import reach
from fsm.ids import EventId, RoomId, TransactionId
from matrix.text import edit_content, split
from strandline.languages import tongue
from strandline.replies import answer_rows, head_row

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

    def __init__(
        self, *, store: Store, connections: Connections, delivery: Sender, pace: Pace
    ) -> None:
        self._store = store
        self._connections = connections
        self._delivery = delivery
        self._pace = pace
        self._heads: dict[EventId, asyncio.Future[EventId | None]] = {}

    def head_settled(self, row: OutboxRow, event_id: EventId | None) -> None:
        """The first message of an answer has left (``event_id``), or never will (None)."""
        head = self._heads.get(row.stream_of) if row.stream_of else None
        if head is not None and not head.done():
            head.set_result(event_id)

    async def answer(self, question: AskAgent, attempt: int) -> None:
        """Ask, show the answer as it grows, and commit its final form with the event."""
        event_id = question.request_id
        self._heads[event_id] = asyncio.get_running_loop().create_future()
        try:
            begun = await self._resume(event_id)
            text, begun = await self._listen(question, attempt, begun=begun)
            head = await self._heads[event_id] if begun else None
            await self._commit(question, text, attempt, head)
        finally:
            del self._heads[event_id]

    async def _resume(self, event_id: EventId) -> bool:
        """Whether an earlier life has begun to show the answer."""
        stream = await self._store.stream(event_id)
        if stream is None:
            return False
        head = self._heads[event_id]
        if stream.head_event_id is not None and not head.done():
            head.set_result(stream.head_event_id)
        return True

    async def _listen(self, question: AskAgent, attempt: int, *, begun: bool) -> tuple[str, bool]:
        asked = AgentQuestion(
            request_id=question.request_id,
            platform_chat_id=question.platform_chat_id,
            text=question.text,
        )
        pieces = self._connections.ask(question.agent_id, asked)
        growing = Growing(pieces, interval_seconds=self._pace.edit_seconds)
        try:
            reach("agent.ask.before")
            async with (
                asyncio.timeout(self._pace.answer_seconds),
                aclosing(growing.so_far()) as texts,
            ):
                async for text in texts:
                    await self._show(question, text, attempt, begun=begun)
                    begun = True
        except AgentFailed as failure:
            return _with_failure(question, growing.text, failure), begun
        except TimeoutError:
            return _too_late(question, growing.text, self._pace.answer_seconds), begun
        finally:
            reach("agent.ask.after")
        return growing.text or tongue(question.language).t(
            "_The agent gave an empty answer. Please ask in other words._"
        ), begun

    async def _show(self, question: AskAgent, text: str, attempt: int, *, begun: bool) -> None:
        reply = _reply(question, text)
        if not begun:
            row = head_row(reply, question.request_id, attempt)
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
            content = edit_content(split(text)[0], edits=event_id, transaction_id=txn)
            reach("answer.edit.before")
            await self._delivery.send_now(reply.room_id, content, txn)
            reach("answer.edit.after")

    async def _commit(
        self, question: AskAgent, text: str, attempt: int, head: EventId | None
    ) -> None:
        reply, event_id = _reply(question, text), question.request_id
        rows = answer_rows(reply, event_id, attempt, head=head)
        reach("answer.commit.before")
        stored = await self._store.commit(
            Commit(
                outbox=tuple(rows),
                handled=Handled(event_id, question.room_id),
                stream_ends=event_id,
            )
        )
        reach("answer.commit.after")
        self._delivery.submit(stored)


def _reply(question: AskAgent, text: str) -> Reply:
    inbound = question.inbound
    return Reply(
        room_id=question.room_id,
        text=text,
        in_reply_to=question.request_id,
        thread=inbound.thread if inbound else None,
        mention=inbound.sender if inbound else None,
    )


def _with_failure(question: AskAgent, text: str, failure: AgentFailed) -> str:
    _log.warning("agent failed", agent=failure.agent_id, problem=failure.problem)
    told = tongue(question.language).t(
        "Agent `{agent}` could not answer ({problem}). Please send your message again.",
        agent=failure.agent_id,
        problem=failure.problem,
    )
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
