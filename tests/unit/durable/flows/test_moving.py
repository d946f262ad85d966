"""Rooms that are lost, come back, or are replaced."""

import pytest
from attrs import evolve

from durable.records import (
    ARCHIVED,
    CHAT,
    GONE,
    SPACE,
    RoomRecord,
    UsedRecord,
    chat_key,
    room_key,
    used_key,
)
from fsm import EventKind, Text
from fsm.effects import AddToSpace, AskAgent, JoinRoom, LeaveRoom, RemoveFromSpace, Reply
from fsm.values.ids import AgentId, ChatId, PlatformChatId, RoomId, UserId
from tests.support.talk import (
    ALICE,
    BOB,
    MALLORY,
    ROOM,
    Town,
    registry,
    rooms_asked,
    said,
)

SPACE_ID, C1, NEW = RoomId("!space:x"), RoomId("!chat-C1:x"), RoomId("!new:y")


@pytest.fixture
async def town() -> Town:
    town = Town(registry("agent-1"))
    await town.onboarded()
    return town


def type_of(town: Town, room_id: RoomId) -> str:
    room = town.room_at(room_id)
    assert room is not None
    return room.room_type


async def test_a_chat_room_that_the_bot_is_out_of_is_gone_and_keeps_its_binding(
    town: Town,
) -> None:
    turn = await town.happens(EventKind.LEFT, room_id=C1)

    room = town.room_at(C1)
    assert room is not None
    assert (room.room_type, room.platform_chat_id, room.chat_id) == (GONE, "1", "C1")
    assert turn.effects == []
    assert town.chat("C1").room_id == C1


async def test_a_room_in_which_nothing_had_begun_is_forgotten(town: Town) -> None:
    await town.happens(EventKind.LEFT)

    assert town.room_at(ROOM) is None


async def test_a_room_that_nobody_knows_is_left_without_a_word(town: Town) -> None:
    before = dict(town.records.records)

    turn = await town.happens(EventKind.LEFT, room_id=NEW, sender=UserId("@bot:x"))

    assert turn.effects == []
    assert town.records.records == before


async def test_who_has_lost_the_space_has_none(town: Town) -> None:
    await town.happens(EventKind.LEFT, room_id=SPACE_ID)

    assert town.user_record().space_id is None
    assert town.room_at(SPACE_ID) is None


async def test_losing_an_old_space_or_nobodys_leaves_the_present_one(town: Town) -> None:
    for room_id, owner in ((NEW, ALICE), (RoomId("!nobodys"), None)):
        town.records.save(room_key(room_id), RoomRecord(room_type=SPACE, matrix_user_id=owner))
        await town.happens(EventKind.LEFT, room_id=room_id)

    assert town.user_record().space_id == SPACE_ID


async def test_the_next_chat_after_the_space_is_lost_gets_another_space(town: Town) -> None:
    await town.happens(EventKind.LEFT, room_id=SPACE_ID)

    [wish] = rooms_asked(await town.command("new"))

    assert wish.is_space


async def test_in_a_room_that_is_gone_nothing_is_answered(town: Town) -> None:
    await town.happens(EventKind.LEFT, room_id=C1)

    turn = await town.text("anybody?", room_id=C1)

    assert turn.effects == []


async def test_an_invite_back_revives_the_chat(town: Town) -> None:
    await town.happens(EventKind.LEFT, room_id=C1)

    invite = await town.happens(EventKind.INVITED, room_id=C1)
    greeting = await town.happens(EventKind.JOINED, room_id=C1)
    text = await town.text("hi", room_id=C1)

    assert JoinRoom(room_id=C1) in invite.effects
    assert AddToSpace(space_id=SPACE_ID, room_id=C1) in invite.effects
    assert type_of(town, C1) == CHAT
    assert "This room is bound to **Agent-1** (`agent-1`), platform chat 1." in said(greeting)
    assert [e.platform_chat_id for e in text.effects if isinstance(e, AskAgent)] == ["1"]


async def test_an_invite_back_revives_an_archived_chat_too(town: Town) -> None:
    await town.command("archive", room_id=C1)
    await town.command("yes", room_id=C1)
    await town.happens(EventKind.LEFT, room_id=C1)

    await town.happens(EventKind.INVITED, room_id=C1)

    assert type_of(town, C1) == CHAT
    assert not town.chat("C1").archived


async def test_a_chat_without_an_agent_is_revived_as_it_was() -> None:
    town = Town(registry("agent-1", "agent-2"))
    await town.onboarded()
    await town.happens(EventKind.LEFT, room_id=C1)

    await town.happens(EventKind.INVITED, room_id=C1)

    room = town.room_at(C1)
    assert room is not None
    assert (room.room_type, room.chat_id, room.agent_id) == (CHAT, "C1", None)


@pytest.mark.parametrize("agents", [("agent-1",), ("agent-1", "agent-2")])
async def test_somebody_may_bring_the_bot_back_without_an_invite(agents: tuple[str, ...]) -> None:
    town = Town(registry(*agents))
    await town.onboarded()
    await town.happens(EventKind.LEFT, room_id=C1)

    await town.happens(EventKind.JOINED, room_id=C1, after_invite=False)

    assert type_of(town, C1) == CHAT


async def test_somebody_who_is_not_welcome_revives_nothing(town: Town) -> None:
    await town.happens(EventKind.LEFT, room_id=C1)

    turn = await town.happens(EventKind.INVITED, room_id=C1, sender=MALLORY)

    assert turn.effects == [LeaveRoom(room_id=C1)]
    assert type_of(town, C1) == GONE


async def test_a_room_whose_chat_has_moved_on_comes_back_as_a_room_like_any(town: Town) -> None:
    await town.happens(EventKind.LEFT, room_id=C1)
    town.records.save(chat_key(ALICE, ChatId("C1")), evolve(town.chat("C1"), room_id=NEW))

    await town.happens(EventKind.INVITED, room_id=C1)

    assert town.room_at(C1) == RoomRecord(matrix_user_id=ALICE)


async def test_a_room_whose_platform_chat_is_alive_elsewhere_comes_back_without_it(
    town: Town,
) -> None:
    twin = town.room_at(C1)
    assert twin is not None
    town.records.save(room_key(NEW), twin)
    town.records.save(chat_key(ALICE, ChatId("C1")), None)
    await town.happens(EventKind.LEFT, room_id=C1)

    await town.happens(EventKind.INVITED, room_id=C1)

    assert town.room_at(C1) == RoomRecord(matrix_user_id=ALICE)


async def test_a_chat_goes_with_its_room_to_the_replacement(town: Town) -> None:
    await town.text("hi", room_id=C1)

    turn = await town.happens(EventKind.UPGRADED, room_id=C1, replacement=NEW)

    room = town.room_at(NEW)
    assert room is not None
    assert (room.chat_id, room.platform_chat_id, room.agent_id) == ("C1", "1", "agent-1")
    assert town.room_at(C1) is None
    assert town.chat("C1").room_id == NEW
    assert town.records.read(UsedRecord, used_key(NEW)) is not None
    assert JoinRoom(room_id=NEW) in turn.effects
    assert RemoveFromSpace(space_id=SPACE_ID, room_id=C1) in turn.effects
    assert AddToSpace(space_id=SPACE_ID, room_id=NEW) in turn.effects
    assert [e.room_id for e in turn.effects if isinstance(e, Reply)] == [NEW]


async def test_an_archived_chat_goes_along_and_stays_archived(town: Town) -> None:
    await town.command("archive", room_id=C1)
    await town.command("yes", room_id=C1)

    turn = await town.happens(EventKind.UPGRADED, room_id=C1, replacement=NEW)

    assert type_of(town, NEW) == ARCHIVED
    assert (town.chat("C1").room_id, town.chat("C1").archived) == (NEW, True)
    assert AddToSpace(space_id=SPACE_ID, room_id=NEW) not in turn.effects


async def test_a_room_without_a_chat_is_followed_too(town: Town) -> None:
    await town.happens(EventKind.UPGRADED, replacement=NEW)

    assert town.room_at(NEW) == RoomRecord(matrix_user_id=ALICE)
    assert town.room_at(ROOM) is None


async def test_the_space_is_followed_and_shows_what_it_showed(town: Town) -> None:
    turn = await town.happens(EventKind.UPGRADED, room_id=SPACE_ID, replacement=NEW)

    assert town.user_record().space_id == NEW
    assert type_of(town, NEW) == SPACE
    room = town.room_at(C1)
    assert room is not None
    assert room.space_id == NEW
    assert [e for e in turn.effects if isinstance(e, AddToSpace | RemoveFromSpace)] == [
        AddToSpace(space_id=NEW, room_id=C1)
    ]


async def test_an_old_space_is_followed_without_becoming_the_present_one(town: Town) -> None:
    old = RoomId("!old")
    town.records.save(room_key(old), RoomRecord(room_type=SPACE, matrix_user_id=ALICE))

    await town.happens(EventKind.UPGRADED, room_id=old, replacement=NEW)

    assert town.user_record().space_id == SPACE_ID


async def test_a_replacement_that_the_owner_has_invited_the_bot_to_already_is_taken(
    town: Town,
) -> None:
    await town.happens(EventKind.INVITED, room_id=NEW)

    await town.happens(EventKind.UPGRADED, room_id=C1, replacement=NEW)

    assert town.chat("C1").room_id == NEW


FOREIGN = [
    RoomRecord(matrix_user_id=BOB),
    RoomRecord(
        matrix_user_id=BOB,
        chat_id=ChatId("C1"),
        platform_chat_id=PlatformChatId("9"),
        agent_id=AgentId("agent-1"),
    ),
    RoomRecord(matrix_user_id=ALICE, chat_id=ChatId("C2")),
]


@pytest.mark.parametrize("foreign", FOREIGN)
async def test_a_tombstone_that_points_at_the_room_of_something_else_is_not_followed(
    town: Town, foreign: RoomRecord
) -> None:
    town.records.save(room_key(NEW), foreign)
    before = dict(town.records.records)

    turn = await town.happens(EventKind.UPGRADED, room_id=C1, replacement=NEW)

    assert town.records.records == before
    assert [type(e) for e in turn.effects] == [Reply]
    assert "it already has another chat" in said(turn)


@pytest.mark.parametrize("to", ["not-a-room", C1, "#alias:x"])
async def test_a_tombstone_that_points_nowhere_is_not_followed(town: Town, to: str) -> None:
    before = dict(town.records.records)

    turn = await town.happens(EventKind.UPGRADED, room_id=C1, replacement=to)

    assert town.records.records == before
    assert not any(isinstance(e, JoinRoom) for e in turn.effects)


async def test_a_tombstone_in_an_unknown_room_is_nobodys(town: Town) -> None:
    turn = await town.happens(EventKind.UPGRADED, room_id=RoomId("!unknown"), replacement=NEW)

    assert turn.effects == []


async def test_in_a_space_texts_are_not_answered_and_a_choice_is_for_new_chats(town: Town) -> None:
    text = await town.text("hi", room_id=SPACE_ID)
    choice = await town.command("agent 1", room_id=SPACE_ID)

    assert text.effects == []
    assert said(choice) == "You selected **Agent-1** (`agent-1`). It will answer in your new chats."
    assert type_of(town, SPACE_ID) == SPACE


async def test_a_space_is_joined_again_and_greeted_by_nobody(town: Town) -> None:
    invite = await town.happens(EventKind.INVITED, room_id=SPACE_ID)
    joined = await town.happens(EventKind.JOINED, room_id=SPACE_ID)

    assert invite.effects == [JoinRoom(room_id=SPACE_ID)]
    assert joined.effects == []
    assert await town.answers(town.room, Text("hi"))


async def test_a_choice_in_an_archived_room_changes_nothing_there(town: Town) -> None:
    await town.command("archive", room_id=C1)
    await town.command("yes", room_id=C1)

    turn = await town.command("agent 1", room_id=C1)

    assert "The chat in this room is archived, so nothing changes here." in said(turn)


async def test_whoever_is_invited_to_an_archived_room_hears_how_it_comes_back(town: Town) -> None:
    await town.command("archive", room_id=C1)
    await town.command("yes", room_id=C1)
    await town.happens(EventKind.INVITED, room_id=C1)

    turn = await town.happens(EventKind.JOINED, room_id=C1)

    assert "This chat is archived. `!load` restores it" in said(turn)
