import pytest

from durable.flows.signals import AgentChosen, ArchiveRoom, MeetUser
from durable.records import (
    ARCHIVED,
    ChatRecord,
    RoomRecord,
    UserRecord,
    chat_key,
    room_key,
    user_key,
)
from fsm import Command, EventKind, RoomEvent, Snapshot, Text, Triggered
from fsm.effects import AskAgent, JoinRoom, LeaveRoom
from fsm.values.ids import AgentId, ChatId, EventId, PlatformChatId
from fsm.values.messages import Question
from fsm.values.signals import Hold
from fsm.values.text import as_typed
from tests.support.talk import ALICE, BOB, NOW, ROOM, Talk, registry, said, signals

BOUND = RoomRecord(
    chat_id=ChatId("C3"),
    display_name="Чат 3",
    matrix_user_id=ALICE,
    platform_chat_id=PlatformChatId("42"),
    agent_id=AgentId("agent-2"),
)


def bound_talk(*agents: str) -> Talk:
    return Talk(registry(*agents), records={room_key(ROOM): BOUND})


async def test_an_invite_is_accepted_and_the_room_is_the_inviters() -> None:
    talk = Talk(registry("agent-1"))

    after, turn = await talk.step(talk.room, RoomEvent(EventKind.INVITED))

    assert turn.effects == [JoinRoom(room_id=ROOM)]
    assert after == Snapshot("unbound", RoomRecord(matrix_user_id=ALICE))
    assert signals(turn) == [MeetUser]


async def test_an_invite_from_somebody_who_is_not_welcome_is_declined() -> None:
    talk = Talk(registry("agent-1"))

    after, turn = await talk.step(talk.room, RoomEvent(EventKind.INVITED), sender=BOB)

    assert turn.effects == [LeaveRoom(room_id=ROOM)]
    assert after.state == "idle"


async def test_a_second_invite_changes_nothing_about_the_route() -> None:
    talk = bound_talk("agent-2")

    after, turn = await talk.step(talk.room, RoomEvent(EventKind.INVITED))

    assert after == Snapshot("bound", BOUND)
    assert turn.effects == [JoinRoom(room_id=ROOM)]


async def test_the_only_agent_is_selected_by_itself() -> None:
    talk = Talk(registry("agent-1"))

    after, _ = await talk.step(talk.user, Triggered(MeetUser()))

    assert after == Snapshot("selected", UserRecord(selected_agent_id=AgentId("agent-1")))


async def test_with_several_agents_the_choice_is_open_and_the_greeting_asks() -> None:
    talk = Talk(registry("agent-1", "agent-2"))

    after, _ = await talk.step(talk.user, Triggered(MeetUser()))
    await talk.step(talk.room, RoomEvent(EventKind.INVITED))
    _, greeting = await talk.step(talk.room, RoomEvent(EventKind.JOINED))

    assert after == Snapshot("undecided", UserRecord())
    assert "`!agent NUMBER`" in said(greeting)


async def test_meeting_somebody_again_keeps_the_selection() -> None:
    talk = Talk(registry("agent-1", "agent-2"))
    await talk.step(talk.user, Command("agent", "2"))

    after, _ = await talk.step(talk.user, Triggered(MeetUser()))

    assert after == Snapshot("selected", UserRecord(selected_agent_id=AgentId("agent-2")))


@pytest.mark.parametrize("choice", ["2", "agent-2", "AGENT-2"])
async def test_an_agent_is_selected_by_number_or_id(choice: str) -> None:
    talk = Talk(registry("agent-1", "agent-2"))

    after, turn = await talk.step(talk.user, Command("agent", choice))

    assert after == Snapshot("selected", UserRecord(selected_agent_id=AgentId("agent-2")))
    assert signals(turn) == [AgentChosen]


@pytest.mark.parametrize("choice", ["", "0", "3", "-1", "²", "agent-9", "<b>"])
async def test_a_choice_that_names_no_agent_changes_nothing_and_lists_them(choice: str) -> None:
    talk = Talk(registry("agent-1", "agent-2"))

    after, turn = await talk.step(talk.user, Command("agent", choice))

    assert after.state == "idle"
    assert "1. **Agent-1**" in said(turn)
    assert as_typed(choice) in said(turn)


async def test_the_first_message_binds_the_room_and_asks_its_agent() -> None:
    talk = Talk(registry("agent-1"))

    after, turn = await talk.step(talk.room, Text("hello"))

    room = talk.room_record()
    assert after.state == "bound"
    assert (room.agent_id, room.platform_chat_id, room.chat_id) == ("agent-1", "1", "C1")
    assert talk.user_record().next_chat_index == 2
    chat = talk.records.read(ChatRecord, chat_key(ALICE, ChatId("C1")))
    assert chat == ChatRecord(
        chat_id=ChatId("C1"), name="Chat 1", room_id=ROOM, created_at="2026-01-02T03:04:05+00:00"
    )
    assert turn.effects == [
        AskAgent(
            room_id=ROOM,
            agent_id=AgentId("agent-1"),
            platform_chat_id=PlatformChatId("1"),
            request_id=EventId("$1"),
            text="hello",
            inbound=turn.inbound,
        )
    ]


async def test_a_bound_room_stays_bound_when_the_user_selects_another_agent_and_says_so() -> None:
    talk = bound_talk("agent-1", "agent-2")
    [agent] = registry("agent-1")

    after, turn = await talk.step(talk.room, Triggered(AgentChosen(agent)))

    assert after == Snapshot("bound", BOUND)
    assert "This room is bound to **Agent-2**" in said(turn)
    assert "That doesn't change" in said(turn)


async def test_a_room_whose_agent_is_gone_asks_even_if_the_user_selected_another() -> None:
    user = UserRecord(selected_agent_id=AgentId("agent-1"))
    talk = bound_talk("agent-1", "agent-3")
    talk.records.save(user_key(ALICE), user)

    after, turn = await talk.step(talk.room, Text("hello"))

    assert after == Snapshot("unbound", BOUND)
    assert "`agent-2` is no longer available" in said(turn)
    assert signals(turn) == [Hold]


async def test_choosing_an_agent_in_a_room_that_lost_its_own_frees_the_room() -> None:
    talk = bound_talk("agent-1", "agent-3")
    [agent] = registry("agent-1")

    await talk.step(talk.room, Triggered(AgentChosen(agent)))
    talk.records.save(user_key(ALICE), UserRecord(selected_agent_id=AgentId("agent-1")))
    talk.records.issued = 42
    await talk.step(talk.room, Text("hello again"))

    room = talk.room_record()
    assert (room.agent_id, room.platform_chat_id) == ("agent-1", "43")
    assert (room.chat_id, room.display_name) == ("C3", "Чат 3")


async def test_a_room_whose_agent_comes_back_is_bound_as_before() -> None:
    assert bound_talk("agent-1").standing(Talk(registry("agent-1")).room).state == "unbound"
    assert bound_talk("agent-2").standing(Talk(registry("agent-2")).room).state == "bound"


async def test_archiving_is_asked_first_and_only_of_the_owner() -> None:
    talk = bound_talk("agent-2")

    _, asked = await talk.step(talk.room, Command("archive"))
    _, refused = await talk.step(talk.room, Command("archive"), sender=BOB)

    assert signals(asked) == [Question]
    assert signals(refused) == []
    assert "Only @alice:x can archive" in said(refused)


async def test_an_archived_room_keeps_its_route_and_answers_no_more() -> None:
    talk = bound_talk("agent-2")

    after, _ = await talk.step(talk.room, Triggered(ArchiveRoom()))
    _, turn = await talk.step(talk.room, Text("hello?"))

    assert after.state == "archived"
    assert talk.room_record().room_type == ARCHIVED
    assert talk.room_record().platform_chat_id == "42"
    chat = talk.records.read(ChatRecord, chat_key(ALICE, ChatId("C3")))
    assert chat is not None
    assert chat.archived
    assert "is archived" in said(turn)


@pytest.mark.parametrize("stimulus", [Command("archive"), Triggered(ArchiveRoom())])
async def test_there_is_nothing_to_archive_where_there_is_no_chat(
    stimulus: Command | Triggered,
) -> None:
    talk = Talk(registry("agent-1"))

    _, turn = await talk.step(talk.room, stimulus)

    assert "no chat in this room yet" in said(turn)


async def test_a_guest_binds_a_room_to_the_guests_agent_and_the_owners_chat() -> None:
    talk = Talk(registry("agent-1", "agent-2"), respond_to="everyone")
    talk.records.save(room_key(ROOM), RoomRecord(matrix_user_id=ALICE))
    talk.records.save(user_key(ALICE), UserRecord(next_chat_index=7))
    guest = UserRecord(selected_agent_id=AgentId("agent-2"))
    talk.records.save(user_key(BOB), guest)

    await talk.step(talk.room, Text("hi"), sender=BOB)

    assert talk.room_record().agent_id == "agent-2"
    assert (talk.room_record().matrix_user_id, talk.room_record().chat_id) == (ALICE, "C7")
    assert talk.user_record().next_chat_index == 8
    assert talk.user_record(BOB) == guest
    assert NOW.isoformat() in str(talk.records.records)
