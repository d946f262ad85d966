import asyncio
from collections import Counter
from typing import Any, cast

from attrs import evolve
from structlog.testing import capture_logs

from fsm import EventKind, Inbound
from fsm.effects import AskAgent
from fsm.values.ids import EventId, SyncToken, UserId
from matrix import MessageChange, SyncBatch
from strandline.engine.answering.answer import ActiveAnswer
from strandline.engine.answering.edits import EditTracker
from strandline.engine.answering.joining import MAX_JOINED, QuestionJoiner
from strandline.engine.checkpoint import BatchProgress
from strandline.engine.turns import Turns
from strandline.engine.work_items import NewEvent, WorkItem
from tests.unit.strandline.engine.answering.answers import answer_to
from tests.unit.strandline.engine.answering.test_asking import ALICE, INBOUND, QUESTION, ROOM


class Foreseen:
    """Everything is a question to the same agent, but commands are none."""

    async def dry_run(self, inbound: Inbound) -> AskAgent | None:
        if inbound.body.startswith("!"):
            return None
        return evolve(QUESTION, request_id=inbound.event_id, text=inbound.body, inbound=inbound)


class Room:
    """A room in which ``INBOUND`` is being answered."""

    def __init__(self) -> None:
        self.edits, self.queue, self.gone = EditTracker(), list[WorkItem](), set[EventId]()
        self.failure: Exception | None = None
        self.joiner = QuestionJoiner(
            cast("Turns", Foreseen()),
            self.edits,
            queued=lambda _: tuple(self.queue),
        )

    async def prepare(self, inbound: Inbound) -> Inbound | None:
        if self.failure is not None:
            raise self.failure
        return None if inbound.event_id in self.gone else inbound

    def hears(self, event_id: str, body: str, **changes: Any) -> None:
        inbound = evolve(INBOUND, event_id=EventId(event_id), body=body, **changes)
        self.queue.append(
            NewEvent(inbound, BatchProgress(SyncBatch(None, SyncToken("s"), ()), Counter()))
        )
        self.joiner.notify(ROOM)

    def begins(self) -> ActiveAnswer:
        answer = answer_to(QUESTION)
        self.edits.track(answer)
        return answer

    async def joined(self) -> list[str]:
        answer = self.begins()
        async with self.joiner.joining(ROOM, self.prepare):
            await asyncio.sleep(0.01)
            self.joiner.notify(ROOM)
            await asyncio.sleep(0.01)
        self.edits.release(answer)
        return [question.text for question in answer.joined]


async def test_texts_of_the_same_person_join_once_each_and_in_order() -> None:
    room = Room()
    room.hears("$1", "and how")
    room.hears("$2", "and when")

    assert await room.joined() == ["and how", "and when"]


async def test_nothing_overtakes_what_does_not_join() -> None:
    for odd in (
        {"body": "!status"},
        {"body": "hello", "sender": UserId("@bob:x")},
        {"body": "a.png", "kind": EventKind.FILE},
        {"body": "aside", "thread": EventId("$root")},
    ):
        room = Room()
        room.hears("$1", "and how")
        room.hears("$2", **odd)
        room.hears("$3", "and when")

        assert await room.joined() == ["and how"]


async def test_an_error_while_a_message_joins_is_logged_and_leaves_the_answer_alone() -> None:
    room = Room()
    room.hears("$1", "and how")
    room.failure = OSError("disk I/O error")

    with capture_logs() as logs:
        assert await room.joined() == []

    assert [(log["log_level"], str(log["exc_info"])) for log in logs] == [
        ("warning", "disk I/O error")
    ]


async def test_what_was_taken_back_or_handled_does_not_join() -> None:
    room = Room()
    room.hears("$1", "never mind")
    room.hears("$2", "handled before")
    room.hears("$3", "and when")
    room.gone.add(EventId("$2"))
    room.edits.note(
        MessageChange(
            target=EventId("$1"), room_id=ROOM, sender=ALICE, event_id=EventId("$r"), text=None
        )
    )

    assert await room.joined() == ["and when"]


async def test_what_joined_is_answered_as_it_now_reads_and_not_once_it_is_taken_back() -> None:
    room = Room()
    room.hears("$1", "and how")
    room.hears("$2", "and when")
    answer = room.begins()
    async with room.joiner.joining(ROOM, room.prepare):
        await asyncio.sleep(0.01)
        answer.restart()
        made = MessageChange(
            target=EventId("$1"), room_id=ROOM, sender=ALICE, event_id=EventId("$e"), text="and who"
        )
        room.edits.note(made)
        assert [question.text for question in answer.joined] == ["and who", "and when"]
        assert answer.changed.done()
        assert answer.version == "$e"

        answer.restart()
        room.edits.note(evolve(made, event_id=EventId("$r"), text=None))
        room.joiner.notify(ROOM)
        await asyncio.sleep(0.01)

    assert [question.text for question in answer.joined] == ["and when"]
    assert answer.changed.done()
    assert answer.ended is None


async def test_an_edit_that_came_while_a_question_joined_is_not_overlooked() -> None:
    room = Room()
    answer = room.begins()
    room.edits.note(
        MessageChange(
            target=EventId("$1"), room_id=ROOM, sender=ALICE, event_id=EventId("$e"), text="and who"
        )
    )

    inbound = evolve(INBOUND, event_id=EventId("$1"), body="and how")
    room.edits.join(answer, evolve(QUESTION, request_id=inbound.event_id, inbound=inbound))

    assert [question.text for question in answer.joined] == ["and who"]


async def test_only_so_many_join_one_question() -> None:
    room = Room()
    for number in range(MAX_JOINED + 10):
        room.hears(f"${number}", str(number))

    assert await room.joined() == [str(number) for number in range(MAX_JOINED)]
