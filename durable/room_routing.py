"""Which agent and platform chat a room is bound to: comes back after every restart."""

from collections.abc import Callable

from attrs import evolve

from durable.records import (
    ARCHIVED,
    ChatRecord,
    RoomRecord,
    UserRecord,
    chat_key,
    room_key,
    user_key,
)
from durable.user_routing import agent_list
from fsm import (
    STAY,
    AgentEntry,
    Event,
    Flow,
    Kind,
    Registry,
    Scope,
    Signal,
    State,
    Turn,
    durable,
    on,
)
from fsm.ids import ChatId, UserId
from fsm.questions import Question


class RoomRouting(Flow):
    """The room's half of the route: room → (agent, ``platform_chat_id``)."""

    scope = Scope.ROOM
    name = "room"
    kept_as = "matrix_room"

    idle = State(initial=True)
    unbound = State(durable, record=RoomRecord)
    bound = State(durable, record=RoomRecord)
    archived = State(durable, record=RoomRecord)

    def is_welcome(self, turn: Turn) -> bool:
        """The config lets this user talk to the bot."""
        return self._is_allowed(turn.inbound.sender)

    def has_agent(self, turn: Turn) -> bool:
        """It is clear which agent a new binding would be to."""
        room = turn.records.find(RoomRecord, room_key(turn.room_id))
        lost_its_agent = room is not None and room.agent_id is not None
        return not lost_its_agent and self._agent_for(turn) is not None

    def is_owner(self, turn: Turn) -> bool:
        """The room is this user's."""
        room = turn.records.find(RoomRecord, room_key(turn.room_id))
        return room is None or room.matrix_user_id in (None, turn.inbound.sender)

    invited = Event(idle, unbound, kind=Kind.INVITED, guard=is_welcome)
    invited_again = Event((unbound, bound, archived), STAY, kind=Kind.INVITED, guard=is_welcome)
    declined = Event((idle, unbound, bound, archived), STAY, kind=Kind.INVITED)
    joined = Event((idle, unbound, bound, archived), STAY, kind=Kind.JOINED)
    say = Event(bound, STAY, text=True)
    bind = Event((idle, unbound), bound, text=True, guard=has_agent)
    say_without_agent = Event((idle, unbound), STAY, text=True)
    say_archived = Event(archived, STAY, text=True)
    agent_chosen = Event((idle, unbound, bound, archived), STAY)
    ask_archive = Event(bound, STAY, command="archive", guard=is_owner)
    refuse_archive = Event(bound, STAY, command="archive")
    no_chat_to_archive = Event((idle, unbound, archived), STAY, command="archive")
    archive = Event(bound, archived)
    archive_too_late = Event((idle, unbound, archived), STAY, signal="archive")
    forget = Event((unbound, bound, archived), idle)

    def __init__(self, registry: Registry, *, is_allowed: Callable[[UserId], bool]) -> None:
        self._registry = registry
        self._is_allowed = is_allowed

    def state_of(self, record: RoomRecord) -> State:
        """Bound, if it has a platform chat and the config still has the agent."""
        if record.room_type == ARCHIVED:
            return self.archived
        has_route = record.agent_id in self._registry and record.platform_chat_id is not None
        return self.bound if has_route else self.unbound

    @on(invited)
    def accept(self, turn: Turn, _data: None) -> RoomRecord:
        """Join; the room is the inviter's."""
        turn.join()
        turn.trigger("user", "meet")
        return RoomRecord(matrix_user_id=turn.inbound.sender)

    @on(invited_again)
    def rejoin(self, turn: Turn, room: RoomRecord) -> RoomRecord:
        """Join; what the room was bound to, it still is."""
        turn.join()
        turn.trigger("user", "meet")
        return evolve(room, matrix_user_id=room.matrix_user_id or turn.inbound.sender)

    @on(declined)
    def decline(self, turn: Turn, _room: RoomRecord | None) -> None:
        """Say no to somebody whom the config does not let in."""
        turn.leave()

    @on(joined)
    async def greet(self, turn: Turn, room: RoomRecord | None) -> None:
        """Say who is here and what to do next."""
        user = await self._owner(turn, room)
        agent = self._known(user) or self._registry.only
        hello = f"Hello! I connect this room to an agent. `{turn.prefix}help` says what I can do."
        if room is not None and self.state_of(room) is self.bound and room.agent_id:
            turn.say(f"{hello}\n\n{self._binding(room)}")
        elif agent is not None:
            turn.say(f"{hello}\n\n**{agent.name}** (`{agent.id}`) is selected. Just write.")
        else:
            turn.say(f"{hello}\n\n{agent_list(self._registry, user, turn.prefix)}")

    @on(say)
    def pass_on(self, turn: Turn, room: RoomRecord) -> None:
        """Ask the room's agent."""
        assert room.agent_id and room.platform_chat_id  # noqa: S101, PT018  # what bound means
        turn.ask(room.agent_id, room.platform_chat_id, turn.argument)

    @on(bind)
    async def bind_and_pass_on(self, turn: Turn, room: RoomRecord | None) -> RoomRecord:
        """Bind the room for good, then ask its agent."""
        agent = self._agent_for(turn)
        assert agent is not None  # noqa: S101  # the guard found it
        turn.trigger("user", "meet")
        platform_chat_id = await turn.records.next_platform_chat_id()
        room = evolve(
            await self._numbered(turn, room or RoomRecord()),
            agent_id=agent.id,
            platform_chat_id=platform_chat_id,
        )
        turn.ask(agent.id, platform_chat_id, turn.argument)
        return room

    @on(say_without_agent)
    async def ask_for_agent(self, turn: Turn, room: RoomRecord | None) -> None:
        """Keep the message in memory and ask whom it is for."""
        user = turn.records.find(UserRecord, user_key(turn.inbound.sender))
        lost = room.agent_id if room else None
        lost = lost or (user.selected_agent_id if user else None)
        reason = f"The agent `{lost}` is no longer available." if lost else "No agent is selected."
        turn.reply(
            f"{reason} Choose one, and I pass your message on.\n\n"
            f"{agent_list(self._registry, user, turn.prefix)}"
        )
        turn.trigger("held", "hold")

    @on(say_archived, no_chat_to_archive, archive_too_late)
    def explain_no_chat(self, turn: Turn, room: RoomRecord | None) -> None:
        """Say why nothing happens here."""
        if room is not None and self.state_of(room) is self.archived:
            turn.reply("This chat is archived. Invite me to another room to begin a new one.")
        else:
            turn.reply("There is no chat in this room yet. Write something to begin one.")

    @on(agent_chosen)
    def acknowledge_choice(self, turn: Turn, room: RoomRecord | None) -> RoomRecord | None:
        """Say what the user's choice means here. A bound room stays bound."""
        agent = turn.payload
        assert isinstance(agent, AgentEntry)  # noqa: S101  # user routing sends one
        state = self.state_of(room) if room else self.idle
        turn.trigger("held", "release")
        if state is self.unbound and room is not None:
            turn.reply(f"You selected **{agent.name}** (`{agent.id}`). Write, and it answers here.")
            return evolve(room, agent_id=None, platform_chat_id=None)
        turn.reply(f"You selected **{agent.name}** (`{agent.id}`). {self._meaning(agent, room)}")
        return None

    @on(ask_archive)
    def confirm_archive(self, turn: Turn, room: RoomRecord) -> None:
        """Ask first: an archived chat answers no more."""
        name = room.display_name or room.chat_id or "this chat"
        question = f"Archive “{name}”? This room then gets no more answers."
        turn.trigger("confirmation", "ask", Question(question, then=Signal("room", "archive")))

    @on(refuse_archive)
    def name_owner(self, turn: Turn, room: RoomRecord) -> None:
        """Nobody archives another user's chat."""
        turn.reply(f"Only {room.matrix_user_id} can archive this chat.")

    @on(archive)
    async def carry_out_archive(self, turn: Turn, room: RoomRecord) -> RoomRecord:
        """Mark the chat archived and close the room."""
        room = await self._numbered(turn, room)
        assert room.matrix_user_id and room.chat_id  # noqa: S101, PT018  # numbering gave both
        key = chat_key(room.matrix_user_id, room.chat_id)
        chat = await turn.records.read(ChatRecord, key) or _chat(turn, room)
        turn.records.save(key, evolve(chat, archived=True))
        turn.reply(f"“{room.display_name}” is archived. Invite me to another room for a new chat.")
        return evolve(room, room_type=ARCHIVED)

    def _agent_for(self, turn: Turn) -> AgentEntry | None:
        user = turn.records.find(UserRecord, user_key(turn.inbound.sender))
        return self._known(user) or self._registry.only

    def _known(self, user: UserRecord | None) -> AgentEntry | None:
        return self._registry.get(user.selected_agent_id) if user else None

    async def _owner(self, turn: Turn, room: RoomRecord | None) -> UserRecord | None:
        owner = room.matrix_user_id if room else None
        return await turn.records.read(UserRecord, user_key(owner)) if owner else None

    async def _numbered(self, turn: Turn, room: RoomRecord) -> RoomRecord:
        """The room with an owner and a chat number, its chat on record."""
        owner = room.matrix_user_id or turn.inbound.sender
        if room.chat_id is not None:
            return evolve(room, matrix_user_id=owner, display_name=_name(room))
        user = await turn.records.read(UserRecord, user_key(owner)) or UserRecord()
        chat_id = ChatId(f"C{user.next_chat_index}")
        name = room.display_name or f"Chat {user.next_chat_index}"
        turn.records.save(user_key(owner), evolve(user, next_chat_index=user.next_chat_index + 1))
        room = evolve(room, matrix_user_id=owner, chat_id=chat_id, display_name=name)
        turn.records.save(chat_key(owner, chat_id), _chat(turn, room))
        return room

    def _binding(self, room: RoomRecord) -> str:
        agent = self._registry.get(room.agent_id)
        name = f"**{agent.name}** (`{agent.id}`)" if agent else f"`{room.agent_id}`"
        return f"This room is bound to {name}, platform chat {room.platform_chat_id}."

    def _meaning(self, agent: AgentEntry, room: RoomRecord | None) -> str:
        match self.state_of(room) if room else self.idle:
            case self.archived:
                return "The chat in this room is archived, so it changes nothing here."
            case self.bound if room is not None and room.agent_id != agent.id:
                return f"{self._binding(room)} It stays so; your next new room goes to your choice."
            case self.bound:
                return "This room is bound to it already."
            case _:
                return "Write, and it answers here."


def _name(room: RoomRecord) -> str:
    return room.display_name or f"Chat {(room.chat_id or '').removeprefix('C')}"


def _chat(turn: Turn, room: RoomRecord) -> ChatRecord:
    assert room.chat_id  # noqa: S101  # numbered before
    return ChatRecord(
        chat_id=room.chat_id,
        name=_name(room),
        room_id=turn.room_id,
        created_at=turn.now.isoformat(timespec="seconds"),
    )
