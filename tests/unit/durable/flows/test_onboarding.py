"""A Space and chat rooms: asked for, made, refused, made again."""

from typing import Any

import pytest

from durable.flows.chats.rooms import PendingRooms, RoomRequest
from durable.records import (
    CHAT,
    SPACE,
    ChatRecord,
    RoomRecord,
    UserRecord,
    chat_key,
    room_key,
    user_key,
)
from fsm import EventKind, Snapshot
from fsm.effects import AddToSpace, Invite, LeaveRoom, NewRoom, React, Reply
from fsm.values.ids import AgentId, ChatId, PlatformChatId, RoomId, UserId
from tests.support.talk import ALICE, BOB, NOW, ROOM, Town, registry, rooms_asked, said

SPACE_ID, C1, C2 = RoomId("!space:x"), RoomId("!chat-C1:x"), RoomId("!chat-C2:x")
OTHER = RoomId("!other")


def wish(purpose: str, name: str, **more: Any) -> NewRoom:
    return NewRoom(user_id=ALICE, purpose=purpose, name=name, **{"asked_in": ROOM, **more})


@pytest.fixture
def town() -> Town:
    return Town(registry("agent-1"))


async def invited(town: Town) -> list[NewRoom]:
    await town.happens(EventKind.INVITED)
    return rooms_asked(await town.happens(EventKind.JOINED))


async def test_a_first_invite_gets_a_space_and_in_it_a_first_chat(town: Town) -> None:
    greeting, space, chat = await town.onboarded()

    assert "Hello!" in said(greeting)
    assert rooms_asked(greeting) == [wish("space", "alice's space", is_space=True)]
    assert rooms_asked(space) == [wish("chat:C1", "Chat 1", space_id=SPACE_ID, asked_in=SPACE_ID)]
    assert Invite(room_id=SPACE_ID, user_id=ALICE, asked_in=ROOM) in space.effects
    assert Invite(room_id=C1, user_id=ALICE, asked_in=ROOM) in chat.effects
    assert AddToSpace(space_id=SPACE_ID, room_id=C1) in chat.effects
    assert town.plan() == Snapshot("idle")


async def test_what_was_made_is_on_record_and_bound_at_once(town: Town) -> None:
    await town.onboarded()

    assert town.user_record() == UserRecord(
        space_id=SPACE_ID, next_chat_index=2, selected_agent_id=AgentId("agent-1")
    )
    assert town.room_at(SPACE_ID) == RoomRecord(
        room_type=SPACE, display_name="alice's space", matrix_user_id=ALICE
    )
    assert town.room_at(C1) == RoomRecord(
        room_type=CHAT,
        chat_id=ChatId("C1"),
        display_name="Chat 1",
        matrix_user_id=ALICE,
        space_id=SPACE_ID,
        platform_chat_id=PlatformChatId("1"),
        agent_id=AgentId("agent-1"),
    )
    assert town.chat("C1") == ChatRecord(
        chat_id=ChatId("C1"), name="Chat 1", room_id=C1, created_at=NOW.isoformat()
    )


async def test_the_user_is_welcomed_in_the_room_and_told_of_it_where_it_was_asked_for(
    town: Town,
) -> None:
    _, space, chat = await town.onboarded()

    welcome, told = [e for e in chat.effects if isinstance(e, Reply)]
    assert (welcome.room_id, told.room_id) == (C1, ROOM)
    assert welcome.text == "Welcome to “Chat 1”. **Agent-1** (`agent-1`) answers here. Just write."
    assert told.text == (
        "“Chat 1” is ready. Accept the invite, or [open it](https://matrix.to/#/!chat-C1:x?via=x)."
    )
    assert said(space) == ""


async def test_with_no_agent_selected_the_room_is_unbound_and_asks_for_one() -> None:
    town = Town(registry("agent-1", "agent-2"))

    *_, chat = await town.onboarded()
    text = await town.text("hi", room_id=C1)

    room = town.room_at(C1)
    assert room is not None
    assert (room.agent_id, room.platform_chat_id, room.chat_id) == (None, None, "C1")
    assert "Choose an agent for this chat.\n\nAgents:" in said(chat)
    assert "No agent is selected" in said(text)
    assert town.records.issued == 0


async def test_the_join_of_a_room_that_the_bot_made_is_greeted_neither_early_nor_late(
    town: Town,
) -> None:
    [space] = await invited(town)

    early = await town.happens(
        EventKind.JOINED, room_id=SPACE_ID, sender=UserId("@bot:x"), after_invite=False
    )
    await town.made_all(await town.made(space))
    late = [
        await town.happens(EventKind.JOINED, room_id=r, after_invite=False) for r in (SPACE_ID, C1)
    ]

    assert early.effects == late[0].effects == late[1].effects == []


async def test_a_text_in_the_room_of_the_invite_begins_a_chat_of_its_own_in_the_space(
    town: Town,
) -> None:
    await town.onboarded()

    turn = await town.text("hello")

    assert town.room_record().chat_id == "C2"
    assert town.room_record().space_id == SPACE_ID
    assert AddToSpace(space_id=SPACE_ID, room_id=ROOM) in turn.effects
    assert town.chat("C2").room_id == ROOM


async def test_a_chat_that_began_before_the_space_was_made_is_linked_when_it_is(
    town: Town,
) -> None:
    [space] = await invited(town)
    await town.text("hello, quickly")

    turn = await town.made(space)

    assert town.chat("C2").room_id == ROOM  # the first chat was asked for before
    assert AddToSpace(space_id=SPACE_ID, room_id=ROOM) in turn.effects
    assert town.room_record().space_id == SPACE_ID


async def test_a_user_from_before_is_given_a_space_and_loses_nothing() -> None:
    old = RoomRecord(
        chat_id=ChatId("C3"),
        display_name="Чат 3",
        matrix_user_id=ALICE,
        platform_chat_id=PlatformChatId("42"),
        agent_id=AgentId("agent-1"),
    )
    chat = ChatRecord(chat_id=ChatId("C3"), name="Чат 3", room_id=OTHER, created_at="2025")
    user = UserRecord(next_chat_index=4, selected_agent_id=AgentId("agent-1"))
    town = Town(
        registry("agent-1"),
        records={
            room_key(OTHER): old,
            chat_key(ALICE, ChatId("C3")): chat,
            user_key(ALICE): user,
        },
    )

    _, space = await town.onboarded()

    assert AddToSpace(space_id=SPACE_ID, room_id=OTHER) in space.effects
    assert "Your Space “alice's space” is ready" in said(space)
    assert town.chat("C3") == chat
    room = town.room_at(OTHER)
    assert room is not None
    assert (room.platform_chat_id, room.space_id) == ("42", SPACE_ID)
    assert town.user_record().next_chat_index == 4


async def test_a_number_that_a_chat_has_is_not_given_again_though_the_user_record_is_lost(
    town: Town,
) -> None:
    chat = ChatRecord(
        chat_id=ChatId("C7"), name="Old", room_id=OTHER, archived=True, created_at="2025"
    )
    town.records.save(chat_key(ALICE, ChatId("C7")), chat)

    await town.onboarded()

    assert town.chat("C7") == chat
    assert town.chat("C8").name == "Chat 8"


async def test_a_second_invite_before_the_space_is_there_asks_for_nothing_more(town: Town) -> None:
    await invited(town)
    before = town.plan()

    await town.happens(EventKind.INVITED, room_id=OTHER)
    again = await town.happens(EventKind.JOINED, room_id=OTHER)

    assert rooms_asked(again) == []
    assert town.plan() == before
    assert town.user_record().next_chat_index == 2


async def test_without_onboarding_the_room_of_the_invite_is_the_chat() -> None:
    town = Town(registry("agent-1"), with_space=False)

    [greeting] = await town.onboarded()
    new = await town.command("new")
    await town.made_all(new)
    mended = await town.command("repair")

    assert rooms_asked(greeting) == []
    assert rooms_asked(new) == [wish("chat:C1", "Chat 1")]
    assert town.chat("C1").room_id == C1
    assert Invite(room_id=C1, user_id=ALICE, asked_in=ROOM) in mended.effects
    assert town.plan() == Snapshot("idle")


async def test_new_makes_a_named_room_and_says_at_once_that_it_is_at_work(town: Town) -> None:
    await town.onboarded()

    turn = await town.command("new  Plans for\n spring ")
    await town.made_all(turn)

    assert rooms_asked(turn) == [wish("chat:C2", "Plans for spring", space_id=SPACE_ID)]
    assert any(isinstance(e, React) for e in turn.effects)
    assert town.chat("C2").name == "Plans for spring"
    room = town.room_at(C2)
    assert room is not None
    assert room.platform_chat_id == "2"


async def test_new_rooms_that_are_asked_for_before_the_first_is_made_are_all_made(
    town: Town,
) -> None:
    await town.onboarded()
    asked = [rooms_asked(await town.command(f"new {name}"))[0] for name in "abc"]

    await town.made(asked[1])
    middle = town.plan()
    await town.made(asked[0])
    await town.made(asked[2])

    assert [a.purpose for a in asked] == ["chat:C2", "chat:C3", "chat:C4"]
    assert middle.state == "making_chat"
    assert [town.chat(c).name for c in ("C2", "C3", "C4")] == ["a", "b", "c"]
    assert town.plan() == Snapshot("idle")


async def test_new_while_the_space_is_being_made_waits_for_it(town: Town) -> None:
    [space] = await invited(town)

    turn = await town.command("new Second")
    after = await town.made(space)

    assert rooms_asked(turn) == []
    assert [(w.purpose, w.space_id) for w in rooms_asked(after)] == [
        ("chat:C1", SPACE_ID),
        ("chat:C2", SPACE_ID),
    ]
    await town.made_all(after)
    assert town.chat("C2").name == "Second"


async def test_new_from_somebody_who_never_invited_the_bot_makes_their_space_first(
    town: Town,
) -> None:
    await town.onboarded()

    turn = await town.command("new", sender=BOB)

    assert [(w.purpose, w.user_id, w.name) for w in rooms_asked(turn)] == [
        ("space", BOB, "bob's space")
    ]
    assert town.plan(BOB).state == "making_space"
    assert town.plan() == Snapshot("idle")


async def test_a_refused_room_is_named_as_it_was_typed(town: Town) -> None:
    await town.onboarded()
    [asked] = rooms_asked(await town.command("new [Mine](https://example.org)", room_id=OTHER))

    refused = await town.refused(asked, "no *more* [rooms](https://example.org)")
    mended = await town.command("repair")

    for turn in (refused, mended):
        assert r"\[Mine\](https://example.org)" in said(turn)
    assert r"no \*more\* \[rooms\](https://example.org)" in said(refused)


async def test_a_refused_room_is_told_where_it_was_asked_for_and_waits_for_repair(
    town: Town,
) -> None:
    await town.onboarded()
    [asked] = rooms_asked(await town.command("new Mine", room_id=OTHER))

    turn = await town.refused(asked, "M_FORBIDDEN: no more\nrooms for you.")
    plan = town.plan()
    mended = await town.command("repair")

    [told] = [e for e in turn.effects if isinstance(e, Reply)]
    assert told.room_id == OTHER
    assert told.text == (
        "I couldn't create “Mine”: M_FORBIDDEN: no more rooms for you. "
        "To try again, send `!repair`."
    )
    assert plan == Snapshot(
        "making_chat",
        PendingRooms((RoomRequest(purpose="chat:C2", name="Mine", asked_in=OTHER, refused=True),)),
    )
    assert "I am recreating what is missing: Mine." in said(mended)
    assert [w.purpose for w in rooms_asked(mended)] == ["chat:C2"]
    [done] = await town.made_all(mended)
    assert town.chat("C2").room_id == C2
    assert town.plan() == Snapshot("idle")
    assert "“Mine” is ready" in said(done)


async def test_a_refused_room_stays_in_the_plan_while_another_is_made(town: Town) -> None:
    await town.onboarded()
    [first] = rooms_asked(await town.command("new a"))
    [second] = rooms_asked(await town.command("new b"))

    await town.refused(first)
    await town.made(second)

    plan = town.plan().data
    assert isinstance(plan, PendingRooms)
    assert [(w.purpose, w.refused) for w in plan.wishes] == [("chat:C2", True)]


@pytest.mark.parametrize("command", ["new Again", "repair"])
async def test_a_refused_space_is_asked_for_again(town: Town, command: str) -> None:
    [space] = await invited(town)
    refusal = await town.refused(space)

    turn = await town.command(command)
    await town.made_all(turn)

    assert "I couldn't create “alice's space”: not today." in said(refusal)
    assert rooms_asked(turn) == [wish("space", "alice's space", is_space=True)]
    assert town.user_record().space_id == SPACE_ID
    assert town.chat("C1").room_id == C1
    assert town.plan() == Snapshot("idle")


async def test_a_refusal_of_what_nobody_waits_for_changes_nothing(town: Town) -> None:
    idle = await town.refused(wish("chat:C9", "?"))
    [space] = await invited(town)
    plan = town.plan()

    making = await town.refused(wish("chat:C9", "?"))

    assert idle.effects == making.effects == []
    assert town.plan() == plan
    assert space.purpose == "space"


async def test_a_room_that_is_reported_twice_is_taken_once(town: Town) -> None:
    [space] = await invited(town)
    [chat] = rooms_asked(await town.made(space))
    second_space = await town.made(space)
    await town.made(chat)
    before = dict(town.records.records)

    again = [await town.made(chat), await town.made(space)]

    assert [second_space.effects, *(turn.effects for turn in again)] == [[], [], []]
    assert town.records.records == before


async def test_a_room_that_nobody_waits_for_any_more_is_left(town: Town) -> None:
    turn = await town.made(wish("chat:C1", "Chat 1"))

    assert turn.effects == [LeaveRoom(room_id=C1)]
    assert town.room_at(C1) is None


async def test_somebody_who_comes_back_is_invited_to_all_that_they_have(town: Town) -> None:
    await town.onboarded()

    await town.happens(EventKind.INVITED, room_id=OTHER)
    back = await town.happens(EventKind.JOINED, room_id=OTHER)

    assert [e for e in back.effects if isinstance(e, Invite)] == [
        Invite(room_id=SPACE_ID, user_id=ALICE, asked_in=OTHER),
        Invite(room_id=C1, user_id=ALICE, asked_in=OTHER),
    ]
    assert rooms_asked(back) == []


async def test_the_bots_server_is_named_where_a_room_id_has_none(town: Town) -> None:
    [space] = await invited(town)

    [asked] = rooms_asked(await town.made(space, "!v12"))
    turn = await town.made(asked, "!chat12")

    assert AddToSpace(space_id=RoomId("!v12"), room_id=RoomId("!chat12")) in turn.effects
    assert "https://matrix.to/#/!chat12?via=x" in said(turn)
