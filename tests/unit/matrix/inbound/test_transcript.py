from collections.abc import Awaitable, Callable
from typing import Any, cast

from fsm.values.ids import EventId, PlatformChatId, RoomId, TransactionId, UserId
from fsm.values.messages import AnswerRef
from matrix import Homeserver, QuestionAnswer, Transcript
from matrix.api.homeserver import Page
from matrix.outbound.messages import edit_content, message_content

ROOM, ALICE, BOT = RoomId("!room"), UserId("@alice:x"), UserId("@bot:x")
Json = dict[str, Any]


class Room:
    """A room's history, three events a page."""

    def __init__(self) -> None:
        self.user_id = BOT
        self.raw: list[Json] = []
        self.pages = 0

    async def retry(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        return await operation()

    async def page(self, room_id: RoomId, *, direction: str, start: str | None) -> Page:
        assert (room_id, direction) == (ROOM, "b")
        self.pages += 1
        at = int(start or 0)
        chunk = self.raw[::-1][at : at + 3]
        return Page(chunk, str(at + 3) if at + 3 < len(self.raw) else None)

    async def event(self, room_id: RoomId, event_id: EventId) -> Json | None:
        assert room_id == ROOM
        return next((raw for raw in self.raw if raw["event_id"] == event_id), None)

    def add(self, sender: str, content: Json, *, event_id: str = "") -> EventId:
        event_id = event_id or f"${len(self.raw)}"
        self.raw.append(
            {
                "type": "m.room.message",
                "event_id": event_id,
                "sender": sender,
                "origin_server_ts": len(self.raw),
                "content": content,
            }
        )
        return EventId(event_id)

    def says(self, body: str, *, event_id: str = "", sender: str = ALICE) -> EventId:
        return self.add(sender, {"msgtype": "m.text", "body": body}, event_id=event_id)

    def edits(self, target: EventId, body: str, *, sender: str = ALICE) -> None:
        new = {"msgtype": "m.text", "body": body}
        relation = {"rel_type": "m.replace", "event_id": target}
        self.add(sender, {**new, "m.new_content": new, "m.relates_to": relation})

    def redacts(self, target: EventId) -> None:
        next(raw for raw in self.raw if raw["event_id"] == target)["content"] = {}

    def answers(
        self, question: EventId, *parts: str, to: EventId | None = None, **mark: Any
    ) -> EventId:
        says = AnswerRef(**{"chat": PlatformChatId("1"), "question": question, **mark})
        ids = [
            self.add(
                BOT,
                message_content(
                    part,
                    transaction_id=TransactionId("t"),
                    in_reply_to=to or question,
                    answer=says,
                ),
            )
            for part in parts
        ]
        return ids[0]

    def grows(self, answer: EventId, body: str, question: EventId, **mark: Any) -> None:
        says = AnswerRef(**{"chat": PlatformChatId("1"), "question": question, **mark})
        content = edit_content(body, edits=answer, transaction_id=TransactionId("e"), answer=says)
        self.add(BOT, content)

    async def read(self) -> list[tuple[str, str]]:
        return [(e.question.body, e.answer) for e in await self.exchanges()]

    async def exchanges(self) -> list[QuestionAnswer]:
        reading = Transcript(cast("Homeserver", self), ROOM)
        return [exchange async for exchange in reading.exchanges()]


async def test_what_was_asked_and_answered_is_read_newest_first() -> None:
    room = Room()
    room.answers(room.says("one"), "1")
    room.says("!status")
    room.add(BOT, message_content("This room: …", transaction_id=TransactionId("s")))
    room.answers(room.says("two"), "2")
    room.says("three, which nobody has answered")

    assert await room.read() == [("two", "2"), ("one", "1")]


async def test_messages_that_crossed_are_put_together() -> None:
    room = Room()
    one, two = room.says("one"), room.says("two")
    room.answers(one, "1")
    room.answers(two, "2")

    assert await room.read() == [("two", "2"), ("one", "1")]


async def test_an_answer_that_grew_and_one_in_parts_read_as_they_ended() -> None:
    room = Room()
    question = room.says("tell me")
    answer = room.answers(question, "A lo")
    room.grows(answer, "A long", question)
    room.grows(answer, "A long story", question)
    room.answers(question, "and its end")

    assert await room.read() == [("tell me", "A long story\n\nand its end")]


async def test_edits_and_redactions_are_honoured() -> None:
    room = Room()
    one, two, three = room.says("one"), room.says("two"), room.says("three")
    room.answers(one, "1")
    room.answers(two, "2")
    taken_back = room.answers(three, "3")
    room.edits(one, "uno", sender="@mallory:x")
    room.edits(one, "eins")
    room.redacts(two)
    room.redacts(taken_back)

    assert await room.read() == [("eins", "1")]


async def test_a_question_that_was_asked_again_has_its_last_answer() -> None:
    room = Room()
    question = room.says("one")
    room.answers(question, "first try")
    room.answers(question, "second try", to=room.says("!retry"))

    assert await room.read() == [("one", "second try")]


async def test_files_and_what_joined_belong_to_their_question() -> None:
    room = Room()
    file = {"msgtype": "m.image", "body": "a.png", "url": "mxc://x/a", "info": {"size": 3}}
    before = room.add(ALICE, file)
    question, joined = room.says("look"), room.says("and tell me")
    room.answers(question, "nice", also=(before, joined))

    (exchange,) = await room.exchanges()

    assert exchange.question.body == "look\n\nand tell me"
    assert [file.name for file in exchange.question.attachments] == ["a.png"]


async def test_what_others_claim_to_be_an_answer_is_none() -> None:
    room = Room()
    question = room.says("one")
    fake = message_content(
        "1",
        transaction_id=TransactionId("t"),
        in_reply_to=question,
        answer=AnswerRef(chat=PlatformChatId("1"), question=question),
    )
    room.add("@mallory:x", fake)

    assert await room.read() == []


async def test_no_more_pages_are_read_than_are_asked_for() -> None:
    room = Room()
    for number in range(30):
        room.answers(room.says(f"{number}"), f"={number}")

    async for exchange in Transcript(cast("Homeserver", room), ROOM).exchanges():
        assert exchange.question.body == "29"
        break

    assert room.pages == 1


async def test_a_long_room_is_read_no_further_back_than_fifty_pages() -> None:
    room = Room()
    for number in range(100):
        room.answers(room.says(f"{number}"), f"={number}")

    found = await room.read()

    assert room.pages == 50
    assert (len(found), found[-1]) == (75, ("25", "=25"))


async def test_reading_ends_where_the_homeserver_goes_in_a_circle() -> None:
    room = CircularRoom()
    room.answers(room.says("one"), "1")

    assert await room.read() == [("one", "1")]

    assert room.pages == 2


class CircularRoom(Room):
    """Each page says that the next begins at the same place."""

    async def page(self, room_id: RoomId, *, direction: str, start: str | None) -> Page:
        page = await super().page(room_id, direction=direction, start=None)
        return Page([] if start else page.events, "here")
