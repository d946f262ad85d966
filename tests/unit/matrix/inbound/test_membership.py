"""Who is in a room, and what a message of the bot's says of itself."""

import asyncio
from typing import Any

import pytest
from attrs import evolve

from fsm.values.ids import EventId
from fsm.values.messages import QuestionRef
from matrix import Homeserver
from matrix.api.content import QUESTION_KEY
from tests.support.fakes.homeserver import BOT, Answer, ScriptedHomeserver
from tests.support.sync_answers import ALICE, ROOM, Harbour, Json, joined, member, text

MARK: Json = {"flow": "confirmation", "id": "q1", "life": "l1", "asker": ALICE}


def asks(mark: object, sender: str = BOT) -> Json:
    said = text("Sure?", sender=sender)
    return said | {"content": said["content"] | {QUESTION_KEY: mark}}


def people(*memberships: str) -> Answer:
    events = [
        member(membership, f"${n}", user=f"@user{n}:test")
        for n, membership in enumerate(memberships)
    ]
    return Answer(body={"chunk": events})


@pytest.mark.parametrize(
    ("memberships", "group"),
    [
        (["join", "join"], False),
        (["join", "invite"], False),
        (["join", "join", "leave", "ban", "knock"], False),
        (["join", "join", "invite"], True),
        (["join", "join", "join"], True),
    ],
)
async def test_a_group_is_more_than_two_who_are_there_or_invited(
    server: ScriptedHomeserver,
    homeserver: Homeserver,
    memberships: list[str],
    group: bool,  # noqa: FBT001
) -> None:
    await server.script("rooms.members", people(*memberships))

    assert await homeserver.is_group(ROOM) is group
    assert await homeserver.is_group(ROOM) is group
    assert len(server.asked("rooms.members")) == 1


@pytest.mark.parametrize("body", [{}, {"chunk": 1}, {"chunk": [1, {"content": "x"}, {}]}])
async def test_a_list_of_members_that_makes_no_sense_is_no_group(
    server: ScriptedHomeserver, homeserver: Homeserver, body: Json
) -> None:
    await server.script("rooms.members", Answer(body=body))

    assert not await homeserver.is_group(ROOM)


async def test_a_room_that_may_not_be_looked_into_is_no_group_and_is_asked_again(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    no = Answer(403, {"errcode": "M_FORBIDDEN"})
    await server.script("rooms.members", no, people("join", "join", "join"))

    assert [await homeserver.is_group(ROOM) for _ in range(2)] == [False, True]


async def test_who_comes_in_makes_a_group_of_the_room(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    await server.script("rooms.members", people("join", "join"), people("join", "join", "join"))
    before = await homeserver.is_group(ROOM)
    await server.syncs(joined(member("join", "$m", user="@bob:test"), text("hello")))

    async with Harbour(homeserver).at_work() as harbour:
        await harbour.until(lambda: harbour.arrived)
        after = await harbour.reader.is_group(ROOM)

    assert (before, after) == (False, True)


async def test_who_comes_in_while_the_members_are_counted_is_not_overlooked(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    go_on = asyncio.Event()
    before = evolve(people("join", "join"), held=go_on)
    await server.script("rooms.members", before, people("join", "join", "join"))
    asked = asyncio.ensure_future(homeserver.is_group(ROOM))
    await server.was_asked("rooms.members")

    homeserver.members_changed(ROOM)
    go_on.set()
    await asked

    assert await homeserver.is_group(ROOM)


@pytest.mark.parametrize(
    ("raw", "mark"),
    [
        (asks(MARK), QuestionRef(**MARK)),
        (asks(MARK, sender=ALICE), None),
        (text("Sure?", sender=BOT), None),
        (asks(MARK | {"asker": 1}), None),
        (asks("x"), None),
        ({"sender": BOT, "content": 1}, None),
        ({"sender": [BOT]}, None),
    ],
)
async def test_only_the_bots_own_questions_count(
    server: ScriptedHomeserver, homeserver: Homeserver, raw: Any, mark: QuestionRef | None
) -> None:
    await server.script("rooms.event", Answer(502, b""), Answer(body=raw))

    assert await Harbour(homeserver).reader.question_mark(ROOM, EventId("$q")) == mark


async def test_a_question_that_is_gone_is_none(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    await server.script("rooms.event", Answer(404, {"errcode": "M_NOT_FOUND"}))

    assert await Harbour(homeserver).reader.question_mark(ROOM, EventId("$q")) is None
