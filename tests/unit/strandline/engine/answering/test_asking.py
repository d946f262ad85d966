import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from durable.store import Commit, SqliteStore, Store, UnfinishedAnswer
from ephemeral.agents.api import AgentPiece, AgentQuestion, MadeFile
from ephemeral.agents.pool import AgentPool
from fsm import AgentEntry, EventKind, Inbound, Registry, Translator
from fsm.effects import AskAgent
from fsm.outbox import OutboxRow, SendRow
from fsm.values.ids import AgentId, EventId, PlatformChatId, RoomId, TransactionId, UserId
from matrix import MessageChange, Refused
from strandline.engine.answering.answer import ActiveAnswer
from strandline.engine.answering.asking import AnswerSettings, Asking
from strandline.engine.answering.edits import EditTracker
from strandline.engine.answering.publisher import AnswerPublisher
from strandline.engine.outbox import OutboxBuilder
from tests.support.limits import HANGS_SECONDS
from tests.support.outbox import content_of

ROOM, ALICE, HEAD = RoomId("!room"), UserId("@alice:x"), EventId("$head")
INBOUND = Inbound(
    event_id=EventId("$q"), room_id=ROOM, sender=ALICE, kind=EventKind.TEXT, body="tell me"
)
QUESTION = AskAgent(
    room_id=ROOM,
    agent_id=AgentId("a1"),
    platform_chat_id=PlatformChatId("1"),
    request_id=INBOUND.event_id,
    text="tell me",
    inbound=INBOUND,
)


class Slow:
    """An agent that says a word, and then nothing until it is let go on."""

    def __init__(self, files: tuple[str, ...]) -> None:
        self.files = files
        self.asked: list[AgentQuestion] = []
        self.go_on = asyncio.Event()

    async def open(self) -> None:
        """Nothing to connect to."""

    async def ask(self, question: AgentQuestion) -> AsyncGenerator[AgentPiece, None]:
        self.asked.append(question)
        yield f"about {question.text}"
        await self.go_on.wait()
        yield " all"
        for name in self.files:
            yield MadeFile(name=name, chunks=_three_bytes())

    async def probe(self) -> None:
        """It is there."""

    async def close(self) -> None:
        """Nothing to disconnect from."""


async def _three_bytes() -> AsyncIterator[bytes]:
    yield b"ab"
    yield b"c"


class AsAsked:
    """Puts each question as it was asked, and keeps no file."""

    def question(self, answer: ActiveAnswer) -> AgentQuestion:
        return AgentQuestion(
            request_id=answer.version or answer.question.request_id,
            platform_chat_id=answer.question.platform_chat_id,
            text="\n\n".join([answer.inbound.body, *(joined.text for joined in answer.joined)]),
        )

    async def upload(self, room_id: RoomId, file: MadeFile) -> dict[str, Any]:
        del room_id
        if file.name.startswith("refused"):
            raise Refused(413, "M_TOO_LARGE", "too large")
        data = b"".join([chunk async for chunk in file.chunks])
        return {"msgtype": "m.file", "body": file.name, "info": {"size": len(data)}}


class Sent:
    """Takes what is to be delivered, and names each first message ``HEAD``."""

    def __init__(self) -> None:
        self.rows: list[OutboxRow] = []
        self.publisher: AnswerPublisher | None = None
        self.edited = asyncio.Event()

    def submit(self, rows: tuple[OutboxRow, ...]) -> None:
        self.rows += rows
        for row in rows:
            if row.stream_of and self.publisher:
                self.publisher.head_settled(row, HEAD)

    async def send_now(
        self, room_id: RoomId, content: dict[str, object], transaction_id: TransactionId
    ) -> bool:
        del room_id, content, transaction_id
        self.edited.set()
        return True

    @property
    def bodies(self) -> list[str]:
        contents: list[dict[str, Any]] = [content_of(row) for row in self.rows]
        return [c.get("m.new_content", c)["body"] for c in contents]


class Conversation:
    """One question, being answered."""

    def __init__(
        self,
        store: Store,
        *,
        files: tuple[str, ...] = (),
        builder: OutboxBuilder = OutboxBuilder(),  # noqa: B008  # frozen
    ) -> None:
        self.agent, self.sent, self.edits = Slow(files), Sent(), EditTracker()
        registry = Registry([AgentEntry(id=AgentId("a1"), name="A1", kind="slow")])
        self.sent.publisher = AnswerPublisher(
            store,
            self.sent,
            builder,
            typing=lambda _: nullcontext(),
            new_transaction_id=lambda: TransactionId("t"),
        )
        self.asking = Asking(
            AgentPool(registry, kinds={"slow": lambda _: self.agent}, answer_seconds=HANGS_SECONDS),
            AsAsked(),
            self.edits,
            self.sent.publisher,
            settings=AnswerSettings(edit_seconds=0.01),
        )
        self._task = asyncio.ensure_future(self.asking.answer(QUESTION, 0))

    async def has_begun(self, times: int = 1) -> None:
        async with asyncio.timeout(HANGS_SECONDS):
            while not self.sent.rows or len(self.agent.asked) < times:
                await asyncio.sleep(0.005)

    async def ends(self) -> None:
        await asyncio.wait_for(self._task, HANGS_SECONDS)

    def amend(self, text: str | None) -> None:
        self.edits.note(
            MessageChange(
                target=INBOUND.event_id,
                room_id=ROOM,
                sender=ALICE,
                event_id=EventId("$edit"),
                text=text,
            )
        )


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await SqliteStore.open(
        tmp_path / "lambda_matrix.db", now=lambda: datetime(2026, 1, 1, tzinfo=UTC)
    )
    yield opened
    await opened.close()


async def test_stop_keeps_what_the_agent_has_said_so_far(store: Store) -> None:
    conversation = Conversation(store)
    await conversation.has_begun()

    conversation.edits.stop(ROOM, ALICE)
    await conversation.ends()

    assert conversation.sent.bodies == ["about tell me", "about tell me\n\n_Stopped._"]
    assert await store.is_handled(INBOUND.event_id)
    assert await store.stream(INBOUND.event_id) is None


async def test_an_edited_question_is_asked_anew_and_its_answer_replaces_the_old(
    store: Store,
) -> None:
    conversation = Conversation(store)
    await conversation.has_begun()

    conversation.amend("tell her")
    await conversation.has_begun(times=2)
    conversation.agent.go_on.set()
    await conversation.ends()

    asked = [(q.text, q.request_id) for q in conversation.agent.asked]
    assert asked == [("tell me", "$q"), ("tell her", "$edit")]
    assert conversation.sent.bodies == ["about tell me", "about tell her all"]
    assert content_of(conversation.sent.rows[1])["m.relates_to"]["event_id"] == HEAD


async def test_a_question_that_is_taken_back_ends_its_answer(store: Store) -> None:
    conversation = Conversation(store)
    await conversation.has_begun()

    conversation.amend(None)
    await conversation.ends()

    assert conversation.sent.bodies == ["about tell me", "_The question was deleted._"]
    assert await store.is_handled(INBOUND.event_id)


async def test_a_whole_answer_says_what_stands_for_it_if_its_question_is_taken_back_later(
    store: Store,
) -> None:
    conversation = Conversation(store)
    await conversation.has_begun()
    conversation.agent.go_on.set()
    await conversation.ends()

    [_, edit] = await store.outbox.pending_rows()

    assert isinstance(edit, SendRow)
    instead = edit.if_withdrawn
    assert instead is not None
    assert instead["m.new_content"]["body"] == "_The question was deleted._"
    assert instead["m.relates_to"]["event_id"] == HEAD


async def test_a_question_that_is_taken_back_before_anything_shows_gets_no_answer(
    store: Store,
) -> None:
    conversation = Conversation(store)
    conversation.amend(None)

    await conversation.ends()

    assert conversation.sent.rows == []
    assert await store.is_handled(INBOUND.event_id)


async def test_an_answer_of_an_earlier_life_is_ended_when_its_question_was_taken_back(
    store: Store,
) -> None:
    conversation = Conversation(store)
    conversation.agent.go_on.set()
    await conversation.ends()
    other = evolve(INBOUND, event_id=EventId("$other"))
    await store.commit(Commit(stream_begins=UnfinishedAnswer(other.event_id, ROOM, EventId("$h2"))))

    assert await conversation.asking.withdraw(other.event_id, Translator())
    assert not await conversation.asking.withdraw(other.event_id, Translator())

    assert conversation.sent.bodies[-1] == "_The question was deleted._"
    assert await store.is_handled(other.event_id)
    assert await store.stream(other.event_id) is None


async def test_what_joins_a_question_is_asked_and_handled_with_it(store: Store) -> None:
    conversation = Conversation(store)
    await conversation.has_begun()
    joining = evolve(INBOUND, event_id=EventId("$more"), body="and how")

    answer = conversation.edits.active(ROOM)
    assert answer is not None
    answer.interrupt(evolve(QUESTION, request_id=joining.event_id, text="and how", inbound=joining))
    await conversation.has_begun(times=2)
    conversation.agent.go_on.set()
    await conversation.ends()

    asked = [(q.text, q.request_id) for q in conversation.agent.asked]
    assert asked == [("tell me", "$q"), ("tell me\n\nand how", "$more")]
    assert conversation.sent.bodies == ["about tell me", "about tell me\n\nand how all"]
    assert await store.is_handled(joining.event_id)


async def test_what_joins_while_the_answer_is_committed_keeps_its_own_turn(store: Store) -> None:
    loop, begun = asyncio.get_running_loop(), asyncio.Event()

    class Slowly(OutboxBuilder):
        def answer(self, *args: Any, **kwargs: Any) -> list[OutboxRow]:
            asyncio.run_coroutine_threadsafe(late(), loop).result(HANGS_SECONDS)
            return super().answer(*args, **kwargs)

    async def late() -> None:
        answer = conversation.edits.active(ROOM)
        assert answer is not None
        answer.interrupt(evolve(QUESTION, request_id=EventId("$more"), text="and how"))
        begun.set()

    conversation = Conversation(store, builder=Slowly())
    conversation.agent.go_on.set()
    await conversation.ends()

    assert begun.is_set()
    assert conversation.sent.bodies == ["about tell me all"]
    assert await store.is_handled(INBOUND.event_id)
    assert not await store.is_handled(EventId("$more"))


async def test_what_joined_a_question_that_is_taken_back_keeps_its_own_turn(store: Store) -> None:
    conversation = Conversation(store)
    await conversation.has_begun()
    answer = conversation.edits.active(ROOM)
    assert answer is not None
    answer.interrupt(evolve(QUESTION, request_id=EventId("$more"), text="and how"))
    await conversation.has_begun(times=2)

    conversation.amend(None)
    await conversation.ends()

    assert await store.is_handled(INBOUND.event_id)
    assert not await store.is_handled(EventId("$more"))


async def test_an_answer_is_rendered_in_threads_and_the_loop_goes_on(
    store: Store, rendering_threads: list[threading.Thread]
) -> None:
    conversation = Conversation(store)
    await conversation.has_begun()
    conversation.amend("tell her")
    await conversation.sent.edited.wait()
    conversation.agent.go_on.set()
    await conversation.ends()
    await store.commit(
        Commit(stream_begins=UnfinishedAnswer(EventId("$other"), ROOM, EventId("$h2")))
    )
    await conversation.asking.withdraw(EventId("$other"), Translator())

    assert len(rendering_threads) >= 5, "a head, an edit, an answer and its withdrawal, an end"
    assert threading.main_thread() not in rendering_threads


async def test_the_files_of_an_answer_follow_its_text(store: Store) -> None:
    conversation = Conversation(store, files=("plot.svg", "refused_[1](a).bin"))
    conversation.agent.go_on.set()
    await conversation.ends()

    text, name = conversation.sent.bodies
    refused = r"refused\_\[1\](a).bin"
    assert text.startswith(f"about tell me all\n\n_I couldn't send the file “{refused}”")
    assert name == "plot.svg"
    file = content_of(conversation.sent.rows[1])
    assert file["info"]["size"] == 3
    assert file["m.relates_to"]["m.in_reply_to"]["event_id"] == INBOUND.event_id
    assert file["org.strandline.answer"] == {"chat": "1", "question": "$q"}
