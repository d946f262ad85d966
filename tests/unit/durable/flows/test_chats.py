"""Chats: listed, renamed, bound anew, archived and brought back."""

import pytest
from attrs import evolve

from durable.flows.signals import RebindRoom
from durable.records import (
    ARCHIVED,
    CHAT,
    GONE,
    RoomRecord,
    UsedRecord,
    chat_key,
    room_key,
    used_key,
)
from ephemeral.flows.confirmation import Confirmation, Pending
from ephemeral.flows.load_selection import LoadSelection
from fsm import AgentEntry, EventKind, Reaction, Triggered
from fsm.effects import AddToSpace, AskAgent, Edit, Invite, NameRoom, React, RemoveFromSpace, Reply
from fsm.values.ids import AgentId, ChatId, EventId, PlatformChatId, RoomId, TransactionId, UserId
from fsm.values.messages import Choice
from fsm.values.signals import LoadChat
from matrix.outbound.messages import message_content
from tests.support.talk import ALICE, BOB, ROOM, Town, question_of, registry, rooms_asked, said

SPACE_ID, C1, C2 = RoomId("!space:x"), RoomId("!chat-C1:x"), RoomId("!chat-C2:x")
NEW, FREE = RoomId("!new"), RoomId("!free")
LINK = "https://matrix.to/#/!chat-C1:x?via=x"


@pytest.fixture
async def town() -> Town:
    town = Town(registry("agent-1", "agent-2"))
    await town.command("agent 1")
    await town.onboarded()
    return town


async def archived(town: Town, room_id: RoomId = C1) -> None:
    await town.command("archive", room_id=room_id)
    await town.command("yes", room_id=room_id)
    room = town.room_at(room_id)
    assert room is not None
    assert room.room_type == ARCHIVED


async def gone(town: Town, room_id: RoomId = C1) -> None:
    await town.happens(EventKind.LEFT, room_id=room_id)
    room = town.room_at(room_id)
    assert room is not None
    assert room.room_type == GONE


async def free_room(town: Town, room_id: RoomId = FREE) -> None:
    await town.happens(EventKind.INVITED, room_id=room_id)


def live_rooms(town: Town) -> list[PlatformChatId]:
    rooms = [r for r in town.records.records.values() if isinstance(r, RoomRecord)]
    return sorted(r.platform_chat_id for r in rooms if r.room_type == CHAT and r.platform_chat_id)


async def test_chats_are_listed_with_agent_last_use_and_link(town: Town) -> None:
    await town.made_all(await town.command("new Mine"))
    await town.text("hi", room_id=C1)
    await archived(town, C2)

    turn = await town.command("chats")

    assert said(turn) == (
        "Your chats:\n\n"
        f"1. **Chat 1** ([open it]({LINK})): Agent-1, last used 2026-01-02 03:04:05 UTC\n\n"
        "1 more chat is archived. To restore it, send `!load`."
    )


async def test_the_list_says_what_is_amiss_with_a_chat(town: Town) -> None:
    await town.made_all(await town.command("new Lost"))
    await gone(town, C2)
    room = town.room_at(C1)
    assert room is not None
    town.records.save(room_key(C1), evolve(room, agent_id=AgentId("agent-9")))
    town.records.save(used_key(C1), UsedRecord(at="yesterday"))

    turn = await town.command("chats")

    assert "`agent-9`, no longer available, last used yesterday" in said(turn)
    assert "2. **Lost**: its room is gone; `!repair` creates a new one" in said(turn)


async def test_a_chat_that_nobody_has_written_in_is_listed_so() -> None:
    town = Town(registry("agent-1", "agent-2"))
    await town.onboarded()

    turn = await town.command("chats")

    assert "no agent yet, not used yet" in said(turn)


async def test_who_has_no_chats_is_told_how_to_begin_one(town: Town) -> None:
    turn = await town.command("chats", sender=BOB)

    assert said(turn) == "You have no chats yet. To start one, send `!new`."


async def test_chats_are_listed_by_number_and_those_of_a_namesake_elsewhere_are_not(
    town: Town,
) -> None:
    for _ in range(10):
        await town.made_all(await town.command("new"))
    other = evolve(town.chat("C1"), name="Not hers")
    town.records.save(chat_key(type(ALICE)(f"{ALICE}:8008"), ChatId("C1")), other)

    listed = said(await town.command("chats"))

    assert "Not hers" not in listed
    assert listed.index("**Chat 2**") < listed.index("**Chat 10**")


async def test_a_chat_is_renamed_in_its_room_and_on_record(town: Town) -> None:
    asked = await town.command("rename  Grand   plans", room_id=C1)
    before = town.chat("C1").name
    turn = await town.set_all(asked)

    assert asked.effects == [NameRoom(room_id=C1, name="Grand plans", asked_in=C1)]
    assert before == "Chat 1"
    assert town.chat("C1").name == "Grand plans"
    room = town.room_at(C1)
    assert room is not None
    assert room.display_name == "Grand plans"
    assert said(turn) == "This chat is now called “Grand plans”."
    assert [e.in_reply_to for e in turn.effects if isinstance(e, Reply)] == [asked.inbound.event_id]


async def test_a_chat_that_can_not_be_renamed_keeps_its_name_and_says_why(town: Town) -> None:
    before = dict(town.records.records)
    asked = await town.command("rename Grand plans", room_id=C1)

    turn = await town.set_all(asked, problem="403 M_FORBIDDEN no right")

    assert town.records.records == before
    assert said(turn) == (
        "I couldn't rename this chat to “Grand plans”: 403 M_FORBIDDEN no right. Give me "
        "permission to change the room name, then send `!rename` again."
    )


async def test_a_refused_invite_is_told_where_it_was_asked_for(town: Town) -> None:
    turn = await town.happens(
        EventKind.REFUSED,
        about=EventId("$repair"),
        event_type="m.room.member",
        invited=ALICE,
        target=C1,
        problem="403 no",
    )

    assert said(turn) == (
        "I couldn't invite you to “Chat 1”: 403 no. If you left the room, ask one of its "
        "members to invite you."
    )


async def test_a_name_is_cut_to_what_a_list_can_show(town: Town) -> None:
    await town.set_all(await town.command(f"rename {'long ' * 100}", room_id=C1))

    assert len(town.chat("C1").name) <= 100


async def test_a_name_is_shown_as_it_was_typed(town: Town) -> None:
    """A live link in the bot's own message would be the bot's word for it."""
    asked = await town.command("rename [free](https://example.org) *now*", room_id=C1)
    turn = await town.set_all(asked)

    assert town.chat("C1").name == "[free](https://example.org) *now*"
    shown = message_content(said(turn), transaction_id=TransactionId("t"))["formatted_body"]
    assert "<a " not in shown
    assert "[free](https://example.org) *now*" in shown


async def test_rename_without_a_name_says_how_to_write_it(town: Town) -> None:
    turn = await town.command("rename", room_id=C1)

    assert said(turn) == "Add the new name: `!rename NAME`."
    assert town.chat("C1").name == "Chat 1"


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        ("rename Mine", "Only @alice:x can rename this chat."),
        ("archive", "Only @alice:x can archive this chat."),
        ("rebind 2", "Only @alice:x can choose who answers here."),
    ],
)
async def test_another_user_changes_nothing_about_a_chat(
    town: Town, command: str, refusal: str
) -> None:
    before = dict(town.records.records)

    turn = await town.command(command, room_id=C1, sender=BOB)

    assert said(turn) == refusal
    assert town.records.records == before


@pytest.mark.parametrize("command", ["rename Mine", "archive", "rebind 2"])
async def test_an_owners_name_is_no_markdown(town: Town, command: str) -> None:
    room = town.room_at(C1)
    assert room is not None
    town.records.save(room_key(C1), evolve(room, matrix_user_id=UserId("@_[a](b)_:x")))

    turn = await town.command(command, room_id=C1)

    assert r"Only @\_\[a\](b)\_:x can" in said(turn)


@pytest.mark.parametrize("command", ["rename Mine", "archive", "rebind 2"])
async def test_where_there_is_no_chat_there_is_nothing_to_change(town: Town, command: str) -> None:
    turn = await town.command(command)

    assert said(turn) == "There is no chat in this room yet. Write something to start one."


@pytest.mark.parametrize("command", ["rename Mine", "archive", "rebind 2"])
async def test_a_space_says_where_such_a_command_belongs(town: Town, command: str) -> None:
    turn = await town.command(command, room_id=SPACE_ID)

    assert said(turn) == (
        "This room is a Space, which has no chat of its own. Send the command in a chat, or "
        "`!new` to start one."
    )


@pytest.mark.parametrize("command", ["archive", "rebind 2"])
async def test_an_archived_chat_says_how_it_comes_back(town: Town, command: str) -> None:
    await archived(town)

    turn = await town.command(command, room_id=C1)

    assert said(turn) == ("This chat is archived. `!load` restores it; `!new` starts a new chat.")


async def test_rebinding_is_asked_first_and_then_gives_a_new_platform_chat(town: Town) -> None:
    asked = await town.command("rebind agent-2", room_id=C1)
    before = town.room_at(C1)
    done = await town.command("yes", room_id=C1)

    after = town.room_at(C1)
    assert before is not None
    assert after is not None
    assert "Let **Agent-2** (`agent-2`) answer in “Chat 1”?" in said(asked)
    assert (before.agent_id, before.platform_chat_id) == ("agent-1", "1")
    assert (after.agent_id, after.platform_chat_id) == ("agent-2", "2")
    assert "**Agent-2** (`agent-2`) now answers here" in said(done)
    assert town.chat("C1").name == "Chat 1"


@pytest.mark.parametrize("argument", ["", " 9", " nobody"])
async def test_rebind_without_an_agent_lists_them(town: Town, argument: str) -> None:
    turn = await town.command(f"rebind{argument}", room_id=C1)

    assert "send `!rebind NUMBER`" in said(turn)
    assert ("There is no agent" in said(turn)) is bool(argument)


async def test_a_room_that_lost_its_agent_is_bound_anew_to_another(town: Town) -> None:
    room = town.room_at(C1)
    assert room is not None
    town.records.save(room_key(C1), evolve(room, agent_id=AgentId("agent-9")))

    await town.command("rebind 2", room_id=C1)
    await town.command("yes", room_id=C1)
    turn = await town.text("hi", room_id=C1)

    [asked] = [e for e in turn.effects if isinstance(e, AskAgent)]
    assert (asked.agent_id, asked.platform_chat_id) == ("agent-2", "2")


async def test_a_yes_to_rebinding_comes_too_late_in_an_archived_room(town: Town) -> None:
    await archived(town)

    turn = await town.take(
        Triggered(RebindRoom(AgentEntry(id=AgentId("agent-2"), name="2", kind="echo"))),
        room_id=C1,
    )

    assert "This chat is archived." in said(turn)


async def test_an_archived_chat_leaves_the_space_and_answers_no_more(town: Town) -> None:
    await town.command("archive", room_id=C1)
    done = await town.command("yes", room_id=C1)
    text = await town.text("hello?", room_id=C1)

    assert RemoveFromSpace(space_id=SPACE_ID, room_id=C1) in done.effects
    assert said(done).startswith("“Chat 1” is archived.")
    assert town.chat("C1").archived
    assert said(text).startswith("This chat is archived.")


async def test_a_chat_of_which_the_record_is_lost_is_archived_all_the_same(town: Town) -> None:
    town.records.save(chat_key(ALICE, ChatId("C1")), None)

    await archived(town)

    assert town.chat("C1").archived


async def test_a_chat_without_an_agent_can_be_archived_too() -> None:
    town = Town(registry("agent-1", "agent-2"))
    await town.onboarded()

    await archived(town)

    assert town.chat("C1").archived


async def test_load_offers_the_archived_chats(town: Town) -> None:
    await archived(town)
    await town.command("load")

    choosing = town.data(LoadSelection, by=ALICE, room=ROOM)
    assert getattr(choosing, "items", None) == (
        Choice(ChatId("C1"), "Chat 1", "Agent-1, not used yet"),
    )


async def test_load_with_nothing_archived_says_so(town: Town) -> None:
    turn = await town.command("load")

    assert said(turn) == "You have no archived chats. `!chats` lists the others."


@pytest.mark.parametrize("argument", ["2", "C1", "0", "-1", "what?"])
async def test_load_of_what_is_not_archived_names_the_list(town: Town, argument: str) -> None:
    await town.made_all(await town.command("new"))
    await archived(town, C2)

    turn = await town.command(f"load {argument}")

    assert said(turn) == (
        f"You have no archived chat named “{argument}”. `!load` lists your archived chats."
    )


@pytest.mark.parametrize("line", ["load 1", "load C1", "load 1.", "load “C1”", "load c1"])
async def test_a_chat_is_reopened_in_its_own_room(town: Town, line: str) -> None:
    await archived(town)

    turn = await town.command(line)
    text = await town.text("again", room_id=C1)

    assert not town.chat("C1").archived
    assert AddToSpace(space_id=SPACE_ID, room_id=C1) in turn.effects
    assert Invite(room_id=C1, user_id=ALICE, asked_in=ROOM) in turn.effects
    assert (
        f"“Chat 1” is restored. Accept the invite if you had left the room, or [open it]({LINK})."
        in (said(turn))
    )
    assert [e.platform_chat_id for e in text.effects if isinstance(e, AskAgent)] == ["1"]


async def test_a_chat_can_be_reopened_from_within_its_own_room(town: Town) -> None:
    await archived(town)

    await town.command("load 1", room_id=C1)

    room = town.room_at(C1)
    assert room is not None
    assert (room.room_type, room.platform_chat_id) == (CHAT, "1")


async def test_a_chat_is_chosen_by_a_reaction_on_the_list(town: Town) -> None:
    await town.text("a chat of its own")
    await archived(town)
    await gone(town)
    mark, _ = question_of(await town.command("load"))

    turn = await town.take(
        Reaction("✅", mark),
        kind=EventKind.REACTION,
        key="✅",
        event_id=EventId("$r"),
        about=EventId("$list"),
    )

    assert [w.purpose for w in rooms_asked(turn)] == ["chat:C1"]
    assert [e.event_id for e in turn.effects if isinstance(e, React)] == ["$list"]


async def test_a_chat_whose_room_is_gone_goes_on_in_a_free_room_where_it_is_loaded(
    town: Town,
) -> None:
    await town.text("hi", room_id=C1)
    await archived(town)
    await gone(town)
    await free_room(town)

    turn = await town.command("load 1", room_id=FREE)
    text = await town.text("again", room_id=FREE)

    room = town.room_at(FREE)
    assert room is not None
    assert (room.chat_id, room.platform_chat_id, room.agent_id) == ("C1", "1", "agent-1")
    assert (room.room_type, room.display_name, room.space_id) == (CHAT, "Chat 1", SPACE_ID)
    assert town.room_at(C1) is None
    assert (town.chat("C1").room_id, town.chat("C1").archived) == (FREE, False)
    assert RemoveFromSpace(space_id=SPACE_ID, room_id=C1) in turn.effects
    assert AddToSpace(space_id=SPACE_ID, room_id=FREE) in turn.effects
    assert said(turn) == "“Chat 1” continues in this room, because its own room is gone."
    assert [e.platform_chat_id for e in text.effects if isinstance(e, AskAgent)] == ["1"]
    assert town.records.read(UsedRecord, used_key(C1)) is None
    assert town.user_record().next_chat_index == 2


async def test_a_chat_whose_record_of_a_room_is_lost_is_loaded_without_a_route(town: Town) -> None:
    await archived(town)
    town.records.save(room_key(C1), None)
    await free_room(town)

    await town.command("load 1", room_id=FREE)
    await town.text("again", room_id=FREE)

    room = town.room_at(FREE)
    assert room is not None
    assert (room.chat_id, room.platform_chat_id) == ("C1", "2")


async def test_elsewhere_a_room_is_made_for_it_under_the_same_platform_chat(town: Town) -> None:
    await archived(town)
    await gone(town)
    await town.text("a chat of its own")

    turn = await town.command("load 1")
    [done] = await town.made_all_as(turn, NEW)

    room = town.room_at(NEW)
    assert room is not None
    assert (room.platform_chat_id, room.agent_id, room.chat_id) == ("1", "agent-1", "C1")
    assert town.room_at(C1) is None
    assert (town.chat("C1").room_id, town.chat("C1").archived) == (NEW, False)
    assert RemoveFromSpace(space_id=SPACE_ID, room_id=C1) in done.effects
    assert town.records.issued == 2


async def test_somebody_elses_room_is_not_taken_for_it(town: Town) -> None:
    await archived(town)
    await gone(town)
    await town.happens(EventKind.INVITED, room_id=FREE, sender=BOB)

    turn = await town.command("load 1", room_id=FREE)

    assert [w.purpose for w in rooms_asked(turn)] == ["chat:C1"]
    assert town.room_at(FREE) == RoomRecord(matrix_user_id=BOB)


async def test_a_chat_that_was_loaded_meanwhile_is_not_loaded_again(town: Town) -> None:
    await archived(town)
    await town.command("load 1")

    turn = await town.take(Triggered(LoadChat(ChatId("C1"))))

    assert said(turn) == f"“Chat 1” is not archived: [open it]({LINK})."


async def test_a_chat_that_was_forgotten_meanwhile_is_not_loaded(town: Town) -> None:
    turn = await town.take(Triggered(LoadChat(ChatId("C9"))))

    assert "This chat no longer exists." in said(turn)


async def test_no_chat_is_loaded_whose_platform_chat_is_alive_in_another_room(town: Town) -> None:
    await archived(town)
    room = town.room_at(C1)
    assert room is not None
    town.records.save(room_key(FREE), evolve(room, room_type=CHAT, chat_id=ChatId("C5")))

    turn = await town.command("load 1")

    assert "is not archived: [open it](https://matrix.to/#/!free?via=x)" in said(turn)
    assert live_rooms(town) == ["1"]


async def test_a_room_that_is_made_for_a_chat_that_came_back_is_left(town: Town) -> None:
    await town.text("a chat of its own")
    await archived(town)
    await gone(town)
    turn = await town.command("load 1")
    await town.happens(EventKind.INVITED, room_id=C1)

    [done] = await town.made_all_as(turn, NEW)

    assert [type(e).__name__ for e in done.effects] == ["LeaveRoom", "Reply"]
    assert LINK in said(done)
    assert town.room_at(NEW) is None
    assert town.chat("C1").room_id == C1
    assert live_rooms(town) == ["1", "2"]


async def test_a_room_is_not_made_for_a_platform_chat_that_is_alive_elsewhere(town: Town) -> None:
    await gone(town)
    turn = await town.command("repair")
    room = town.room_at(C1)
    assert room is not None
    town.records.save(room_key(FREE), evolve(room, room_type=CHAT))

    [done] = await town.made_all_as(turn, NEW)

    assert town.room_at(NEW) is None
    assert "https://matrix.to/#/!free?via=x" in said(done)
    assert live_rooms(town) == ["1"]


async def test_repair_makes_again_the_rooms_that_are_gone_with_the_chats_they_had(
    town: Town,
) -> None:
    await town.text("hi", room_id=C1)
    await town.set_all(await town.command("rename Grand plans", room_id=C1))
    await gone(town)

    turn = await town.command("repair")
    [done] = await town.made_all_as(turn, NEW)

    room = town.room_at(NEW)
    assert room is not None
    assert [(w.purpose, w.name) for w in rooms_asked(turn)] == [("chat:C1", "Grand plans")]
    assert (room.platform_chat_id, room.agent_id, room.room_type) == ("1", "agent-1", CHAT)
    assert town.chat("C1").room_id == NEW
    assert town.room_at(C1) is None
    assert town.records.read(UsedRecord, used_key(NEW)) is not None
    assert RemoveFromSpace(space_id=SPACE_ID, room_id=C1) in done.effects


async def test_repair_makes_the_space_again_and_links_what_is_there(town: Town) -> None:
    await town.happens(EventKind.LEFT, room_id=SPACE_ID)
    assert town.user_record().space_id is None

    turn = await town.command("repair")
    [done] = await town.made_all_as(turn, NEW)

    assert [w.purpose for w in rooms_asked(turn)] == ["space"]
    assert town.user_record().space_id == NEW
    assert AddToSpace(space_id=NEW, room_id=C1) in done.effects
    assert "Your Space “alice's space” is ready" in said(done)


async def test_repair_touches_nothing_that_is_there(town: Town) -> None:
    before = dict(town.records.records)

    turn = await town.command("repair")

    assert town.records.records == before
    assert rooms_asked(turn) == []
    assert [e for e in turn.effects if isinstance(e, Invite)] == [
        Invite(room_id=SPACE_ID, user_id=ALICE, asked_in=ROOM),
        Invite(room_id=C1, user_id=ALICE, asked_in=ROOM),
    ]
    assert said(turn).startswith("Nothing is missing.")


async def test_repair_while_rooms_are_being_made_asks_for_them_once_more_and_takes_one(
    town: Town,
) -> None:
    [asked] = rooms_asked(await town.command("new"))

    [again] = rooms_asked(await town.command("repair"))
    await town.made(asked)
    late = await town.made(again)

    assert again.purpose == asked.purpose
    assert late.effects == []
    assert town.chat("C2").room_id == C2


async def test_repair_leaves_archived_chats_in_the_archive(town: Town) -> None:
    await archived(town)

    turn = await town.command("repair")

    assert rooms_asked(turn) == []
    assert C1 not in [e.room_id for e in turn.effects if isinstance(e, Invite)]


async def test_a_refused_question_changes_nothing(town: Town) -> None:
    await town.command("archive", room_id=C1)
    pending = town.data(Confirmation, by=ALICE, room=C1)
    assert isinstance(pending, Pending)

    turn = await town.command("no", room_id=C1)

    assert not town.chat("C1").archived
    assert not any(isinstance(e, Edit) for e in turn.effects)
