"""In rooms of many: which texts are for the bot, and what goes with them."""

import pytest
from attrs import evolve

from durable.flows.room.actions import is_addressed
from durable.records import ARCHIVED, RoomRecord, UsedRecord, room_key, used_key
from ephemeral.flows.held_messages import Held, Waiting
from fsm import Attachment, Triggered, Turn
from fsm.effects import AskAgent, Reply
from fsm.values.ids import AgentId, ChatId, EventId, PlatformChatId, UserId
from fsm.values.messages import Said
from fsm.values.signals import Say
from tests.support.talk import ALICE, BOB, NOW, ROOM, Talk, Town, registry, said

FILE = Attachment(event_id=EventId("$file"), name="a.png")
OWN = Attachment(event_id=EventId("$own"), name="b.png")
BOUND = RoomRecord(
    chat_id=ChatId("C1"),
    matrix_user_id=ALICE,
    platform_chat_id=PlatformChatId("7"),
    agent_id=AgentId("agent-1"),
)


def town_with(respond_to: str = "owner", room: RoomRecord | None = BOUND) -> Town:
    records: dict[str, object] = {} if room is None else {room_key(ROOM): room}
    return Town(registry("agent-1", "agent-2"), records=records, respond_to=respond_to)


def asked(turn: Turn) -> list[AskAgent]:
    return [e for e in turn.effects if isinstance(e, AskAgent)]


@pytest.mark.parametrize(
    ("respond_to", "sender", "mentions", "is_answered"),
    [
        ("owner", ALICE, False, True),
        ("owner", BOB, False, False),
        ("owner", BOB, True, False),
        ("mention", ALICE, False, False),
        ("mention", BOB, True, True),
        ("everyone", BOB, False, True),
    ],
)
async def test_in_a_room_of_many_only_what_is_for_the_bot_is_answered(
    respond_to: str, sender: UserId, *, mentions: bool, is_answered: bool
) -> None:
    town = town_with(respond_to)

    turn = await town.text("hi", sender=sender, is_group=True, mentions_bot=mentions)

    assert bool(asked(turn)) is is_answered
    assert bool(turn.effects) is is_answered


@pytest.mark.parametrize(
    "room",
    [
        RoomRecord(matrix_user_id=ALICE),
        RoomRecord(matrix_user_id=ALICE, agent_id=AgentId("gone")),
        RoomRecord(matrix_user_id=ALICE, room_type=ARCHIVED),
    ],
)
async def test_what_is_overheard_is_passed_over_in_silence_however_the_room_stands(
    room: RoomRecord,
) -> None:
    town = town_with(room=room)

    overheard = await town.text("hi", sender=BOB, is_group=True)
    staged = await town.take(Triggered(Say(Said("hi", (FILE,)))), sender=BOB, is_group=True)

    assert overheard.effects == staged.effects == []
    assert town.room_record() == room


async def test_in_a_room_of_two_the_owner_need_not_name_the_bot() -> None:
    turn = await town_with("mention").text("hi", sender=ALICE)

    assert len(asked(turn)) == 1


@pytest.mark.parametrize("respond_to", ["owner", "mention"])
async def test_who_is_left_alone_with_the_bot_does_not_get_the_owners_chat(respond_to: str) -> None:
    turn = await town_with(respond_to).text("hi", sender=BOB)

    assert turn.effects == []


async def test_a_guests_choice_leaves_the_binding_of_an_agent_that_is_away() -> None:
    away = evolve(BOUND, agent_id=AgentId("gone"))
    town = town_with("everyone", room=away)

    turn = await town.command("agent 1", sender=BOB)

    assert town.room_record() == away
    assert "It will answer in your new chats." in said(turn)


async def test_a_room_of_nobodys_hears_everybody() -> None:
    town = town_with(room=None)

    turn = await town.text("hi", sender=BOB, is_group=True)

    assert "No agent is selected" in said(turn)


async def test_files_and_others_may_ask_what_is_addressed_before_the_room_is_known() -> None:
    talk = Talk(registry("agent-1"))
    inbound = talk.inbound(is_group=True)

    async with talk.turn_records(inbound) as records:
        turn = talk.turn(Triggered(Say(Said("", ()))), inbound, records)

        assert is_addressed(turn, "owner")
        assert not is_addressed(turn, "mention")


async def test_a_text_goes_with_its_own_files_and_is_noted_as_a_use() -> None:
    town = town_with()

    turn = await town.text("look", attachments=(OWN,))

    assert [(a.text, a.attachments) for a in asked(turn)] == [("look", (OWN,))]
    assert town.records.read(UsedRecord, used_key(ROOM)) == UsedRecord(at=NOW.isoformat())


@pytest.mark.parametrize("room", [BOUND, RoomRecord(matrix_user_id=ALICE)])
async def test_a_text_goes_with_the_files_that_waited_for_it(room: RoomRecord) -> None:
    town = town_with(room=room)
    await town.command("agent 1")

    turn = await town.take(
        Triggered(Say(Said("look", (FILE, OWN)))), body="look", attachments=(OWN,)
    )

    assert [(a.text, a.attachments) for a in asked(turn)] == [("look", (FILE, OWN))]


async def test_files_are_held_with_their_text_until_an_agent_is_chosen() -> None:
    town = town_with(room=RoomRecord(matrix_user_id=ALICE))

    turn = await town.take(Triggered(Say(Said("look", (FILE,)))), body="look")

    waiting = town.data(Held, by=ALICE, room=ROOM)
    assert "No agent is selected. Choose one" in said(turn)
    assert isinstance(waiting, Waiting)
    [(held, _)] = waiting.messages
    assert (held.body, held.attachments) == ("look", (FILE,))


async def test_an_archived_room_says_so_to_a_text_with_files_too() -> None:
    town = town_with(room=RoomRecord(matrix_user_id=ALICE, room_type=ARCHIVED))

    turn = await town.take(Triggered(Say(Said("look", (FILE,)))))

    assert [type(e) for e in turn.effects] == [Reply]
    assert "This chat is archived." in said(turn)
