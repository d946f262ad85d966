from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, cast

import pytest
from attrs import evolve

from ephemeral.agents.api import AgentFailed, FailureReason, MadeFile
from fsm import EventKind, Inbound
from fsm.effects import AskAgent
from fsm.values.ids import AgentId, EventId, PlatformChatId, RoomId
from fsm.values.messages import Attachment
from matrix import Homeserver, MessageChange, Refused
from strandline.engine.answering.question import QuestionBuilder
from tests.unit.matrix.inbound.test_transcript import ALICE, ROOM, Room
from tests.unit.strandline.engine.answering.answers import answer_to

FILE = Attachment(event_id=EventId("$f"), name="a.png", mimetype="image/png", url="mxc://x/a")
GONE = evolve(FILE, name="gone.png", url="mxc://x/gone")


class Media:
    """Has one file, and takes others."""

    def __init__(self) -> None:
        self.uploaded: list[tuple[str, str, str, int]] = []

    async def download(self, attachment: Attachment, *, max_bytes: int) -> AsyncIterator[bytes]:
        assert max_bytes == 10
        if attachment.url != FILE.url:
            raise Refused(404, "M_NOT_FOUND", "gone")
        yield b"abc"

    async def upload(
        self,
        room_id: RoomId,
        name: str,
        mimetype: str,
        chunks: AsyncIterator[bytes],
        *,
        max_bytes: int,
    ) -> dict[str, Any]:
        content = b"".join([chunk async for chunk in chunks])
        self.uploaded.append((room_id, name, mimetype, max_bytes))
        return {"body": name, "content": content}


class RoomWithMedia(Room):
    def __init__(self) -> None:
        super().__init__()
        self.media = Media()


def builder(room: Room) -> QuestionBuilder:
    return QuestionBuilder(cast("Homeserver", room), max_file_bytes=10)


def asks(room: Room, text: str, *, chat: str = "1", **more: Any) -> AskAgent:
    event_id = room.says(text)
    inbound = Inbound(event_id=event_id, room_id=ROOM, sender=ALICE, kind=EventKind.TEXT, body=text)
    return AskAgent(
        room_id=ROOM,
        agent_id=AgentId("a1"),
        platform_chat_id=PlatformChatId(chat),
        request_id=event_id,
        text=text,
        inbound=inbound,
        **more,
    )


async def earlier(of: QuestionBuilder, asked: AskAgent) -> list[tuple[bool, str]]:
    question = of.question(answer_to(asked))
    return [(said.is_agents, said.text) async for said in question.earlier()]


async def test_an_agent_is_told_what_was_said_before_in_its_chat_and_no_other() -> None:
    room = RoomWithMedia()
    room.answers(room.says("before"), "another chat", chat=PlatformChatId("0"))
    room.answers(room.says("one"), "1")
    room.answers(room.says("two"), "it can't be reached", is_empty=True)
    asked = asks(room, "three")
    room.answers(asked.request_id, "half an ans")

    assert await earlier(builder(room), asked) == [(True, "1"), (False, "one")]


async def test_nobody_reads_beyond_the_beginning_of_a_chat_twice() -> None:
    room = RoomWithMedia()
    for number in range(20):
        room.answers(room.says(f"{number}"), "another chat", chat=PlatformChatId("0"))
    of, first = builder(room), asks(room, "first")

    assert await earlier(of, first) == []
    assert room.pages > 10
    room.answers(first.request_id, "1")
    room.pages = 0
    assert await earlier(of, asks(room, "second")) == [(True, "1"), (False, "first")]

    assert room.pages == 1


async def test_the_beginnings_of_ten_thousand_chats_are_known_and_the_oldest_is_forgotten() -> None:
    room = RoomWithMedia()
    for number in range(10):
        room.answers(room.says(f"{number}"), "another chat", chat=PlatformChatId("0"))
    of, first = builder(room), asks(room, "first")
    assert await earlier(of, first) == []
    room.answers(first.request_id, "1")
    second = asks(room, "second")

    await begin_chats(of, room, first, 9_999)
    assert await pages_read(of, room, second) == 1

    await begin_chats(of, room, first, 10_000)
    assert await pages_read(of, room, second) == 8, "the whole room"


async def begin_chats(of: QuestionBuilder, room: Room, like: AskAgent, count: int) -> None:
    """Have the beginnings of so many further chats read, as if the room were empty but for them."""
    room.raw, kept = [], room.raw
    for number in range(count):
        asked = evolve(like, platform_chat_id=PlatformChatId(f"further {number}"))
        assert await earlier(of, asked) == []
    room.raw = kept


async def pages_read(of: QuestionBuilder, room: Room, asked: AskAgent) -> int:
    room.pages = 0
    await earlier(of, asked)
    return room.pages


async def test_no_more_of_a_file_of_an_answer_is_passed_on_than_is_allowed() -> None:
    room = RoomWithMedia()

    async def chunks() -> AsyncGenerator[bytes, None]:
        yield b"ab"

    made = MadeFile(name="a.txt", mimetype="text/plain", chunks=chunks())
    content = await builder(room).upload(ROOM, made)

    assert content == {"body": "a.txt", "content": b"ab"}
    assert room.media.uploaded == [(ROOM, "a.txt", "text/plain", 10)]


async def test_a_question_is_put_as_it_was_edited_and_with_what_has_joined_it() -> None:
    room = RoomWithMedia()
    asked, more = asks(room, "one", attachments=(FILE,)), asks(room, "two", attachments=(GONE,))
    answer = answer_to(asked)
    answer.interrupt(
        MessageChange(
            target=asked.request_id,
            room_id=ROOM,
            sender=ALICE,
            event_id=EventId("$edit"),
            text="uno",
        )
    )
    answer.interrupt(more)

    question = builder(room).question(answer)

    assert (question.text, question.request_id) == ("uno\n\ntwo", more.request_id)
    assert [file.name for file in question.files] == ["a.png", "gone.png"]


async def test_the_content_of_a_file_is_read_when_it_is_asked_for() -> None:
    room = RoomWithMedia()
    asked = asks(room, "look", attachments=(FILE, GONE))
    there, gone = builder(room).question(answer_to(asked)).files

    assert [chunk async for chunk in there.chunks()] == [b"abc"]
    with pytest.raises(AgentFailed) as failed:
        await anext(aiter(gone.chunks()))

    assert failed.value.reason is FailureReason.FILE
