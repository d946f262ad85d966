"""Forgetting a user, and nobody else."""

import pytest
from attrs import evolve

from durable.flows.language import Chosen
from durable.records import (
    ChatRecord,
    RoomRecord,
    UserRecord,
    chat_key,
    room_key,
    user_key,
)
from fsm import EventKind, Snapshot
from fsm.effects import LeaveRoom, Reply
from fsm.values.ids import ChatId, RoomId, UserId
from tests.support.talk import ALICE, BOB, ROOM, Town, registry, rooms_asked, said

SPACE_ID, C1, BOBS = RoomId("!space:x"), RoomId("!chat-C1:x"), RoomId("!bobs")
NAMESAKE = UserId("@alice:x:8008")


@pytest.fixture
async def town() -> Town:
    town = Town(registry("agent-1"))
    await town.onboarded()
    await town.text("hi", room_id=C1)
    await town.command("language en")
    assert town.language_of(ALICE) == Chosen("en")
    return town


async def forget(town: Town, room_id: RoomId = ROOM) -> list[object]:
    await town.command("forget-me", room_id=room_id)
    turn = await town.command("yes", room_id=room_id)
    return [e for e in turn.effects if isinstance(e, Reply | LeaveRoom)]


async def test_nothing_is_forgotten_before_a_yes(town: Town) -> None:
    before = dict(town.records.records)

    turn = await town.command("forget-me")
    await town.command("no")

    assert "Delete everything I store about you?" in said(turn)
    assert town.records.records == before


async def test_everything_that_is_held_on_the_user_is_forgotten(town: Town) -> None:
    await town.happens(EventKind.INVITED, room_id=RoomId("!unused"))
    await town.command("new")

    await forget(town)

    assert town.language_of(ALICE) is None
    assert [key for key in town.records.records if "alice" in key] == []
    assert "@alice:x" not in str(town.records.records)
    assert [key for key in town.records.records if key.startswith("room_used:")] == []
    assert town.plan() == Snapshot("idle")


async def test_the_bot_says_what_stays_and_leaves_the_present_room_last(town: Town) -> None:
    reply, *left = await forget(town)

    assert isinstance(reply, Reply)
    assert "the messages on the homeserver" in reply.text
    assert "what the agents remember" in reply.text
    assert left == [
        LeaveRoom(room_id=SPACE_ID),
        LeaveRoom(room_id=C1),
        LeaveRoom(room_id=ROOM),
    ] or left == [LeaveRoom(room_id=C1), LeaveRoom(room_id=SPACE_ID), LeaveRoom(room_id=ROOM)]


async def test_rooms_that_the_bot_is_out_of_are_forgotten_and_not_left(town: Town) -> None:
    await town.happens(EventKind.LEFT, room_id=C1)

    done = await forget(town)

    assert LeaveRoom(room_id=C1) not in done
    assert town.room_at(C1) is None


async def test_another_users_rooms_are_left_alone(town: Town) -> None:
    await town.onboarded(BOB, BOBS)
    bobs = {key: value for key, value in town.records.records.items() if "bob" in key + str(value)}
    theirs = ChatRecord(chat_id=ChatId("C1"), name="", room_id=BOBS, created_at="2025")
    town.records.save(chat_key(NAMESAKE, ChatId("C1")), theirs)
    town.records.save(user_key(NAMESAKE), UserRecord(next_chat_index=2))

    await forget(town)

    assert len(bobs) == 5
    assert {key: town.records.records.get(key) for key in bobs} == bobs
    assert town.chat("C1", NAMESAKE) == theirs
    assert user_key(NAMESAKE) in town.records.records


async def test_in_another_users_room_the_bot_stays(town: Town) -> None:
    await town.happens(EventKind.INVITED, room_id=BOBS, sender=BOB)

    done = await forget(town, BOBS)

    assert LeaveRoom(room_id=BOBS) not in done
    assert LeaveRoom(room_id=ROOM) in done
    assert town.room_at(BOBS) == RoomRecord(matrix_user_id=BOB)


async def test_a_chats_room_that_names_no_owner_is_the_chats_users(town: Town) -> None:
    room = town.room_at(C1)
    assert room is not None
    town.records.save(room_key(C1), evolve(room, matrix_user_id=None))

    done = await forget(town)

    assert LeaveRoom(room_id=C1) in done
    assert town.room_at(C1) is None


async def test_a_room_that_was_being_made_is_left_when_it_comes(town: Town) -> None:
    [asked] = rooms_asked(await town.command("new"))
    await forget(town)

    turn = await town.made(asked)

    assert turn.effects == [LeaveRoom(room_id=RoomId("!chat-C2:x"))]


async def test_somebody_who_was_forgotten_begins_anew(town: Town) -> None:
    await forget(town)

    await town.happens(EventKind.INVITED)
    greeting = await town.happens(EventKind.JOINED)
    await town.made_all(greeting)

    assert town.user_record().next_chat_index == 2
    assert town.chat("C1").name == "Chat 1"


async def test_the_leaving_that_follows_changes_nothing_more(town: Town) -> None:
    await forget(town)

    for room_id in (SPACE_ID, C1, ROOM):
        await town.happens(EventKind.LEFT, room_id=room_id, sender=UserId("@bot:x"))

    assert "@alice:x" not in str(town.records.records)
