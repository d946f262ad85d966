from datetime import UTC, datetime

import pytest
from attrs import evolve

from durable.records import ARCHIVED, RoomRecord, UserRecord, room_key, user_key
from fsm import AgentEntry, Command, Registry
from fsm.effects import Reply
from fsm.events import ANY
from fsm.values.ids import AgentId, PlatformChatId, RoomId, UserId
from strandline.flows.builtin import FLOWS
from strandline.flows.languages import translator_for
from strandline.flows.service import HELP, Service
from tests.support.talk import Talk

ROOM, ALICE = RoomId("!room"), UserId("@alice:x")
STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
REGISTRY = Registry([AgentEntry(id=AgentId("a1"), name="First", kind="echo")])
BOUND = RoomRecord(agent_id=AgentId("a1"), platform_chat_id=PlatformChatId("7"))
LOST = RoomRecord(agent_id=AgentId("gone"), platform_chat_id=PlatformChatId("7"))
CLOSED = RoomRecord(
    room_type=ARCHIVED, agent_id=AgentId("a1"), platform_chat_id=PlatformChatId("7")
)


async def told(
    command: str,
    *,
    commands: tuple[str, ...] = (),
    room: RoomRecord | None = None,
    user: UserRecord | None = None,
    language: str = "en",
) -> str:
    service = Service(REGISTRY, commands=commands, cancellable=(), started_at=STARTED)
    kept = {room_key(ROOM): room, user_key(ALICE): user}
    talk = Talk(REGISTRY, records={key: record for key, record in kept.items() if record})
    inbound = talk.inbound()
    async with talk.turn_records(inbound) as records:
        turn = evolve(
            talk.turn(Command(command), inbound, records), translator=translator_for(language)
        )
        move = service.choose(service.at_rest, turn.stimulus, turn)
        assert move is not None
        await service.step(service.at_rest, move, turn)
    [reply] = turn.effects
    assert isinstance(reply, Reply)
    return reply.text


async def test_help_lists_the_commands_that_something_answers_and_no_other() -> None:
    text = await told("help", commands=("rename", "agent"))

    assert text.splitlines()[2:] == [
        "- `!help`: show this list",
        "- `!rename NAME`: rename this chat",
        "- `!agent NUMBER or ID`: select an agent for your new rooms",
        "- `!status`: show this room's agent and my last restart",
        "- `!yes`: answer yes to my question",
        "- `!no`: answer no to my question",
        "- `!cancel`: cancel what is pending",
        "- `!stop`: stop the answer that is being written",
    ]


async def test_help_names_the_same_commands_in_every_language() -> None:
    commands = tuple(name for name, _, _ in HELP)

    text = await told("help", commands=commands, language="ru")

    assert "- `!rename НАЗВАНИЕ`: переименовать этот чат" in text
    assert "- `!language en | ru`: выбрать язык, на котором я вам пишу" in text
    assert [line.split("`")[1].split()[0] for line in text.splitlines()[2:]] == [
        f"!{name}" for name in commands
    ]


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (None, "- This room: not bound yet; your next message binds it to your agent."),
        (RoomRecord(), "- This room: not bound yet; your next message binds it to your agent."),
        (BOUND, "- This room: **First** (`a1`), platform chat 7."),
        (LOST, "- This room: `gone` (not available), platform chat 7."),
        (CLOSED, "- This room: archived; it was bound to **First** (`a1`), platform chat 7."),
    ],
)
async def test_status_says_where_the_rooms_messages_go(
    room: RoomRecord | None, expected: str
) -> None:
    text = await told("status", room=room)

    assert text.splitlines()[0] == expected


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (None, "- You: no agent selected; `!agents` lists them."),
        (UserRecord(), "- You: no agent selected; `!agents` lists them."),
        (UserRecord(selected_agent_id=AgentId("a1")), "- You: **First** (`a1`) is selected."),
    ],
)
async def test_status_says_whom_the_user_has_selected_and_when_the_bot_restarted(
    user: UserRecord | None, expected: str
) -> None:
    text = await told("status", user=user)

    assert text.splitlines()[1:] == [expected, "- I last restarted at 2026-01-02 03:04:05 UTC."]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("hlep", "I don't know `!hlep`. Did you mean `!help`? `!help` lists my commands."),
        ("xyzzy", "I don't know `!xyzzy`. `!help` lists my commands."),
        ("`x`", "I don't know `!x`. `!help` lists my commands."),
    ],
)
async def test_a_command_that_nothing_answers_gets_the_nearest_one_that_something_does(
    command: str, expected: str
) -> None:
    assert await told(command) == expected


def test_every_command_of_the_bots_own_flows_is_in_help() -> None:
    commands = {
        name
        for flow in FLOWS
        for event in flow.events.values()
        for name in event.command
        if name != ANY
    }

    assert commands == {name for name, _, _ in HELP}
