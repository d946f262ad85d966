"""What a chat's owner does to it: another name, another agent, the archive."""

from attrs import evolve

from durable.flows.chats.records import chat_in, enter, name_in, name_of, numbered, unlink
from durable.flows.room.texts import problem_of
from durable.flows.user_routing import agent_list, no_such_agent
from durable.records import ARCHIVED, RoomRecord, UserRecord, chat_key, user_key
from fsm import AgentEntry, Registry, Turn
from fsm.values.text import as_typed

ROOM_NAME = "m.room.name"
"""The type of the state event that names a room."""


def ask_for_name(turn: Turn) -> None:
    """Have the room given the name that the command has; a later turn says what came of it."""
    name = name_in(turn.argument)
    if name:
        turn.set_state(turn.room_id, ROOM_NAME, {"name": name}, asked_in=turn.room_id)
    else:
        turn.reply(turn.t("Write the new name with it: `{prefix}rename NAME`.", prefix=turn.prefix))


async def take_name(turn: Turn, room: RoomRecord) -> RoomRecord:
    """The room has its new name: so has the chat, on record."""
    name = _new_name(turn)
    chat = await chat_in(turn, room)
    if chat is not None and room.matrix_user_id is not None:
        turn.records.save(chat_key(room.matrix_user_id, chat.chat_id), evolve(chat, name=name))
    turn.reply(turn.t("This chat is now called “{name}”.", name=as_typed(name)))
    return evolve(room, display_name=name)


def explain_name(turn: Turn) -> None:
    """The homeserver does not let the bot rename the room."""
    turn.reply(
        turn.t(
            "I couldn't call this chat “{name}”: {problem}. Give me the right to change the room's "
            "name, and write `{prefix}rename` again.",
            name=as_typed(_new_name(turn)),
            problem=problem_of(turn),
            prefix=turn.prefix,
        )
    )


def _new_name(turn: Turn) -> str:
    content = turn.inbound.raw.get("content")
    return str(content.get("name", "")) if isinstance(content, dict) else ""


def rebind_question(turn: Turn, room: RoomRecord, agent: AgentEntry) -> str:
    """The question whether this agent is to answer from now on."""
    return turn.t(
        "Have **{agent}** (`{id}`) answer in “{name}”? It begins anew there, and does not know "
        "what was said before.",
        agent=agent.name,
        id=agent.id,
        name=as_typed(name_of(turn, room)),
    )


async def bind_anew(turn: Turn, room: RoomRecord) -> RoomRecord:
    """Bind the room to the agent of the payload, under a new platform chat."""
    agent = turn.payload
    assert isinstance(agent, AgentEntry)  # noqa: S101  # what the question carried
    number = await turn.records.next_platform_chat_id()
    turn.reply(
        turn.t(
            "**{agent}** (`{id}`) answers here from now on, platform chat {number}.",
            agent=agent.name,
            id=agent.id,
            number=number,
        )
    )
    turn.signal("held", "release")
    room = await numbered(turn, room)
    return evolve(room, agent_id=agent.id, platform_chat_id=number)


def archive_question(turn: Turn, room: RoomRecord) -> str:
    """The question whether the chat is to answer no more."""
    return turn.t(
        "Archive “{name}”? This room then gets no more answers.", name=as_typed(name_of(turn, room))
    )


async def close(turn: Turn, room: RoomRecord) -> RoomRecord:
    """Archive the chat."""
    room = await numbered(turn, room)
    chat = await chat_in(turn, room)
    if chat is None:
        enter(turn, room, turn.room_id)
        chat = await chat_in(turn, room)
    assert chat and room.matrix_user_id  # noqa: S101, PT018  # entered and numbered
    key = chat_key(room.matrix_user_id, chat.chat_id)
    turn.records.save(key, evolve(chat, archived=True))
    unlink(turn, room.space_id, turn.room_id)
    turn.reply(
        turn.t(
            "“{name}” is archived. `{prefix}load` brings it back, `{prefix}new` begins another.",
            name=as_typed(room.display_name),
            prefix=turn.prefix,
        )
    )
    return evolve(room, room_type=ARCHIVED)


async def rebind_usage(turn: Turn, registry: Registry) -> str:
    """How the command is to be written, and which agents there are."""
    user = await turn.records.read(UserRecord, user_key(turn.sender))
    agents = turn.t(
        "{agents}\n\nHave another one answer in this chat with `{prefix}rebind NUMBER`.",
        agents=agent_list(turn, registry, user),
        prefix=turn.prefix,
    )
    return no_such_agent(turn, agents) if turn.argument else agents
