"""The flow that binds a room to an agent and a platform chat. The binding survives a restart."""

from collections.abc import Callable

from attrs import evolve

from durable.flows.chats.records import touch, with_chat
from durable.flows.room.actions import (
    OWNER,
    archive_question,
    ask_for_name,
    bind_anew,
    close,
    explain_name,
    is_addressed,
    is_owners,
    lose_space,
    may_move,
    move_room,
    rebind_question,
    rebind_usage,
    replaced_room,
    revive,
    take_name,
)
from durable.flows.room.texts import choice_meaning, greeting, no_agent, no_chat, owners_only
from durable.flows.signals import (
    AgentChosen,
    ArchiveRoom,
    MeetUser,
    MoveRoom,
    OnboardUser,
    RebindRoom,
    Settle,
    WelcomeUser,
)
from durable.records import ARCHIVED, GONE, SPACE, RoomRecord, UserRecord, room_key, user_key
from fsm import (
    STAY,
    AgentEntry,
    Event,
    EventKind,
    Flow,
    Registry,
    Scope,
    State,
    Turn,
    durable,
    on,
)
from fsm.kept_record import KeptAsRecord
from fsm.turn import bot_records
from fsm.values.ids import UserId
from fsm.values.inbound import EffectDone, EffectRefused, RoomJoined, RoomUpgraded
from fsm.values.messages import Said, Triggered
from fsm.values.signals import Hold, Release, Say


class RoomRouting(KeptAsRecord, Flow):
    """Bind a room to an agent and a platform chat: room → (agent, ``platform_chat_id``).

    Args:
        registry: The agents.
        is_allowed: Called with a user's id; returns whether the user may invite the bot.
        respond_to: Which texts the bot answers in rooms of more than two: those of the room's
            ``owner``, those that ``mention`` the bot, or ``everyone``'s.
        onboarding: Whether the bot triggers ``OnboardUser`` or ``WelcomeUser`` when it has joined a
            room, so that the room's owner gets a Space and a first chat.
    """

    scope = Scope.ROOM
    name = "room"
    kept_as = "matrix_room"

    idle = State(initial=True)
    unbound = State(durable, record=RoomRecord)
    bound = State(durable, record=RoomRecord)
    archived = State(durable, record=RoomRecord)
    gone = State(durable, record=RoomRecord)
    space = State(durable, record=RoomRecord)

    opened = (unbound, bound)
    present = (unbound, bound, archived)
    known = (unbound, bound, archived, gone, space)
    anywhere = (idle, unbound, bound, archived, gone, space)

    invited = Event(idle, unbound, on=EventKind.INVITED)
    revived = Event(gone, bound, on=EventKind.INVITED)
    revived_unbound = Event(gone, unbound, on=EventKind.INVITED)
    invited_again = Event((*present, space), STAY, on=EventKind.INVITED)
    declined = Event(anywhere, STAY, on=EventKind.INVITED)
    joined = Event(present, STAY, on=EventKind.JOINED)
    returned = Event(gone, bound, on=EventKind.JOINED)
    returned_unbound = Event(gone, unbound, on=EventKind.JOINED)
    lost = Event(present, gone, on=EventKind.LEFT)
    left = Event((*present, space), idle, on=EventKind.LEFT)
    upgraded = Event((*present, space), STAY, on=EventKind.UPGRADED)
    move = Event((*present, space), idle, on=MoveRoom)
    settle_space = Event(anywhere, space, on=Settle)
    settle_bound = Event(anywhere, bound, on=Settle)
    settle = Event(anywhere, unbound, on=Settle)
    overhear = Event(anywhere, STAY, text=True, on=Say)
    say = Event(bound, STAY, text=True, on=Say)
    bind = Event((idle, unbound), bound, text=True, on=Say)
    say_without_agent = Event((idle, unbound), STAY, text=True, on=Say)
    retry = Event(bound, STAY, command="retry")
    retry_nothing = Event(anywhere, STAY, command="retry")
    say_archived = Event(archived, STAY, text=True, on=Say)
    say_nothing = Event((gone, space), STAY, text=True, on=Say)
    agent_chosen = Event(anywhere, STAY, on=AgentChosen)
    rename = Event(present, STAY, command="rename")
    renamed = Event(present, STAY, on=EventKind.DONE)
    not_renamed = Event(present, STAY, on=EventKind.REFUSED)
    ask_rebind = Event(opened, STAY, command="rebind")
    rebind = Event(opened, bound, on=RebindRoom)
    ask_archive = Event(opened, STAY, command="archive")
    archive = Event(opened, archived, on=ArchiveRoom)
    refuse = Event(present, STAY, command=("archive", "rebind", "rename"))
    explain = Event(anywhere, STAY, command=("archive", "rebind", "rename"))
    archive_too_late = Event(anywhere, STAY, on=ArchiveRoom)
    rebind_too_late = Event(anywhere, STAY, on=RebindRoom)
    forget = Event(known, idle)

    @invited.guard
    @revived_unbound.guard
    @invited_again.guard
    def is_welcome(self, turn: Turn) -> bool:
        """Whether the config allows the sender to invite the bot."""
        return self._is_allowed(turn.sender)

    @revived.guard
    def is_welcome_back(self, turn: Turn) -> bool:
        """Whether the sender may invite the bot, and the room's agent is in the config."""
        return self.is_welcome(turn) and self.had_agent(turn)

    @returned.guard
    def had_agent(self, turn: Turn) -> bool:
        """Whether the room is bound to an agent that is in the config."""
        return _has_route(turn.data, self._registry)

    @joined.guard
    def followed_invite(self, turn: Turn) -> bool:
        """Whether to greet: the room has no chat, or the bot has joined it after an invite."""
        return not _has_chat(turn.data) or RoomJoined.of(turn.inbound).after_invite

    @bind.guard
    def has_agent(self, turn: Turn) -> bool:
        """Whether it is known to which agent to bind the room.

        That is the agent that the sender has selected, or the only agent of the config. False if
        the room was bound to an agent that is no longer available: the sender must choose first.
        """
        room = bot_records(turn).find(RoomRecord, room_key(turn.room_id))
        lost_its_agent = room is not None and room.agent_id is not None
        return not lost_its_agent and self._agent_for(turn) is not None

    @overhear.guard
    def is_overheard(self, turn: Turn) -> bool:
        """Whether the bot does not answer the text, because of the setting ``respond_to``."""
        return not is_addressed(turn, self._respond_to)

    @lost.guard
    @rebind.guard
    @archive.guard
    def has_chat(self, turn: Turn) -> bool:
        """Whether the room has a chat."""
        return _has_chat(turn.data)

    @rename.guard
    @ask_rebind.guard
    @ask_archive.guard
    def may_change(self, turn: Turn) -> bool:
        """Whether the room has a chat, and the sender owns the room."""
        return _has_chat(turn.data) and is_owners(turn)

    @renamed.guard
    @not_renamed.guard
    def was_name(self, turn: Turn) -> bool:
        """Whether the homeserver has accepted or refused a new name, for a room with a chat."""
        match turn.inbound:
            case EffectDone(room_name=str()) | EffectRefused(room_name=str()):
                return _has_chat(turn.data)
        return False

    @refuse.guard
    def is_anothers(self, turn: Turn) -> bool:
        """Whether the room has a chat that somebody else owns."""
        return _has_chat(turn.data) and not is_owners(turn)

    @retry.guard
    def has_asked(self, turn: Turn) -> bool:
        """Whether there is an earlier question of the sender in this room to ask again."""
        return turn.inbound.repeats is not None

    @settle_space.guard
    def brings_space(self, turn: Turn) -> bool:
        """Whether the record in the signal ``Settle`` is that of a Space."""
        return turn.signal(Settle).room.room_type == SPACE

    @settle_bound.guard
    def brings_agent(self, turn: Turn) -> bool:
        """Whether the record in the signal ``Settle`` is bound to an agent in the config."""
        return _has_route(turn.signal(Settle).room, self._registry)

    def __init__(
        self,
        registry: Registry,
        *,
        is_allowed: Callable[[UserId], bool],
        respond_to: str = OWNER,
        onboarding: bool = False,
    ) -> None:
        self._registry = registry
        self._is_allowed = is_allowed
        self._respond_to = respond_to
        self._onboarding = onboarding

    def state_of(self, record: RoomRecord) -> State:
        """Return the state of a room that has this record.

        Archived chats, rooms that the bot has left and Spaces have states of their own. Any other
        room is ``bound`` if it has a platform chat and an agent in the config, else ``unbound``.
        """
        closed = {ARCHIVED: self.archived, GONE: self.gone, SPACE: self.space}
        open_state = self.bound if _has_route(record, self._registry) else self.unbound
        return closed.get(record.room_type, open_state)

    @on(invited)
    def accept(self, turn: Turn) -> RoomRecord:
        """Join the room, and store the inviter as its owner."""
        turn.join()
        turn.trigger(MeetUser())
        return RoomRecord(matrix_user_id=turn.sender)

    @on(invited_again)
    def rejoin(self, turn: Turn, room: RoomRecord) -> RoomRecord:
        """Join the room again. The inviter becomes the room's owner if the owner is unknown.

        The room keeps its agent and platform chat.
        """
        turn.join()
        turn.trigger(MeetUser())
        return evolve(room, matrix_user_id=room.matrix_user_id or turn.sender)

    @on(revived, revived_unbound)
    async def rejoin_lost(self, turn: Turn, room: RoomRecord) -> RoomRecord:
        """Join a room that the bot had left, and reopen its chat unless that has another room."""
        turn.join()
        turn.trigger(MeetUser())
        return await revive(turn, room)

    @on(returned, returned_unbound)
    async def take_up(self, turn: Turn, room: RoomRecord) -> RoomRecord:
        """Reopen the chat of a room that the bot has joined again without an invite."""
        return await revive(turn, room)

    @on(declined)
    def decline(self, turn: Turn) -> None:
        """Reject the invite of a user whom the config does not allow."""
        turn.leave()

    @on(joined)
    async def greet(self, turn: Turn, room: RoomRecord) -> None:
        """Greet the room after the bot has joined it, and begin onboarding if that is enabled.

        If the room replaces another with the same owner, take over that room's record instead.
        """
        since = RoomJoined.of(turn.inbound).replaces
        before = await replaced_room(turn, room, since) if since else None
        if since is not None and before is not None:
            await move_room(turn, before, turn.room_id, since=since)
            turn.trigger(Settle(before))
            return
        owner = room.matrix_user_id
        user = await bot_records(turn).read(UserRecord, user_key(owner)) if owner else None
        is_bound = _has_route(room, self._registry)
        turn.say(greeting(turn, self._registry, room, owner=user, is_bound=is_bound))
        if self._onboarding and owner == turn.sender:
            has_space = user is not None and user.space_id is not None
            turn.trigger(WelcomeUser() if has_space else OnboardUser())

    @on(lost)
    def mark_gone(self, _turn: Turn, room: RoomRecord) -> RoomRecord:
        """Mark the room as left. Its agent and platform chat stay stored, to continue the chat."""
        return evolve(room, room_type=GONE)

    @on(left)
    async def forget_room(self, turn: Turn, room: RoomRecord) -> None:
        """Forget a Space, or a room without a chat, that the bot has left.

        The engine deletes the room's record. A Space is removed from its owner's record too.
        """
        await lose_space(turn, room)

    @on(upgraded)
    async def follow(self, turn: Turn, room: RoomRecord) -> None:
        """Move the chat to the room that replaces this one, if ``may_move`` allows that.

        Otherwise, say in this room that the chat can't move.
        """
        to = RoomUpgraded.of(turn.inbound).replacement
        if await may_move(turn, room, to):
            turn.trigger(MoveRoom(to))
        else:
            turn.say(
                turn.gettext(
                    "I can't move to the room that replaces this one: it already has another "
                    "chat. Invite me to a new room, or send `{prefix}new`.",
                    prefix=turn.prefix,
                )
            )

    @on(move)
    async def move_on(self, turn: Turn, room: RoomRecord) -> None:
        """Join the room that replaces this one, and give it this room's record and chat."""
        to = turn.signal(MoveRoom).to
        bot_records(turn).save(room_key(to), room)
        turn.join(to)
        await move_room(turn, room, to, since=turn.room_id)

    @on(settle_space, settle_bound, settle)
    def take_place(self, turn: Turn) -> RoomRecord:
        """Make the record in the signal ``Settle`` the record of the room."""
        return turn.signal(Settle).room

    @on(say)
    def pass_on(self, turn: Turn, room: RoomRecord) -> None:
        """Send the text and files of the turn to the room's agent as a question."""
        self._ask(turn, room)

    @on(retry)
    def ask_again(self, turn: Turn, room: RoomRecord) -> None:
        """Ask the room's agent the sender's last question again."""
        before = turn.inbound.repeats
        assert before and room.agent_id and room.platform_chat_id  # noqa: S101, PT018
        touch(turn)
        turn.ask(
            room.agent_id,
            room.platform_chat_id,
            before.body,
            attachments=before.attachments,
            again=before,
        )

    @on(retry_nothing)
    def explain_retry(self, turn: Turn) -> None:
        """Tell the sender that there is no question to ask again."""
        turn.reply(turn.gettext("There is no question in this chat to ask again."))

    @on(bind)
    async def bind_and_pass_on(self, turn: Turn, room: RoomRecord | None) -> RoomRecord:
        """Bind the room to an agent, with a new platform chat number, and ask that agent.

        The agent is the one that the guard ``has_agent`` has found.
        """
        agent = self._agent_for(turn)
        assert agent is not None  # noqa: S101  # the guard found it
        turn.trigger(MeetUser())
        platform_chat_id = await bot_records(turn).next_platform_chat_id()
        room = evolve(
            await with_chat(turn, room or RoomRecord()),
            agent_id=agent.id,
            platform_chat_id=platform_chat_id,
        )
        self._ask(turn, room)
        return room

    @on(say_without_agent)
    async def ask_for_agent(self, turn: Turn, room: RoomRecord | None) -> None:
        """Ask the sender to choose an agent. ``Hold`` keeps the message in memory until then."""
        user = await bot_records(turn).read(UserRecord, user_key(turn.sender))
        lost = room.agent_id if room else None
        lost = lost or (user.selected_agent_id if user else None)
        turn.reply(no_agent(turn, self._registry, user, lost))
        turn.trigger(Hold(_said(turn)))

    @on(say_archived, explain, archive_too_late, rebind_too_late)
    def explain_no_chat(self, turn: Turn, room: RoomRecord | None) -> None:
        """Tell the sender why the room has no chat, and what to do."""
        turn.reply(no_chat(turn, room))

    @on(agent_chosen)
    def acknowledge_choice(self, turn: Turn, room: RoomRecord | None) -> RoomRecord | None:
        """Tell the sender what the selection of an agent changes in this room.

        A bound room keeps its agent. An unbound room of the sender loses what is left of an earlier
        binding, so that the next message binds it to the selected agent.

        Returns:
            The room's changed record; None if it does not change.
        """
        agent = turn.signal(AgentChosen).agent
        turn.trigger(Release())
        state = self.state_of(room) if room else self.idle
        is_guests = state is self.unbound and not is_owners(turn)
        stands = "another's" if is_guests else state.name
        turn.reply(choice_meaning(turn, self._registry, agent, room, state=stands))
        if room is None or state is not self.unbound or is_guests:
            return None
        return evolve(room, agent_id=None, platform_chat_id=None)

    @on(rename)
    def ask_for_name(self, turn: Turn) -> None:
        """Ask the homeserver to give the room the name in the command's argument."""
        ask_for_name(turn)

    @on(renamed)
    async def take_name(self, turn: Turn, room: RoomRecord) -> RoomRecord:
        """Store the name that the homeserver has set as the chat's name, and tell the sender."""
        return await take_name(turn, room)

    @on(not_renamed)
    def explain_name(self, turn: Turn) -> None:
        """Tell the sender why the homeserver refused the new name."""
        explain_name(turn)

    @on(ask_rebind)
    async def confirm_rebind(self, turn: Turn, room: RoomRecord) -> None:
        """Ask the sender to confirm the new agent, because it starts a new conversation.

        If the command names no agent, reply with the agents and how to use the command.
        """
        agent = self._registry.find(turn.argument)
        if agent is None:
            turn.reply(await rebind_usage(turn, self._registry))
        else:
            turn.confirm(rebind_question(turn, room, agent), then=RebindRoom(agent))

    @on(rebind)
    async def carry_out_rebind(self, turn: Turn, room: RoomRecord) -> RoomRecord:
        """Bind the room to the confirmed agent, with a new platform chat number."""
        return await bind_anew(turn, room)

    @on(ask_archive)
    def confirm_archive(self, turn: Turn, room: RoomRecord) -> None:
        """Ask the sender to confirm, because no agent answers in an archived chat."""
        turn.confirm(archive_question(turn, room), then=ArchiveRoom())

    @on(archive)
    async def carry_out_archive(self, turn: Turn, room: RoomRecord) -> RoomRecord:
        """Archive the chat and remove its room from the Space. The bot stays in the room."""
        return await close(turn, room)

    @on(refuse)
    def name_owner(self, turn: Turn, room: RoomRecord) -> None:
        """Tell the sender that only the owner can change the chat."""
        turn.reply(owners_only(turn, room))

    def _agent_for(self, turn: Turn) -> AgentEntry | None:
        user = bot_records(turn).find(UserRecord, user_key(turn.sender))
        known = self._registry.get(user.selected_agent_id) if user else None
        return known or self._registry.only

    def _ask(self, turn: Turn, room: RoomRecord) -> None:
        assert room.agent_id and room.platform_chat_id  # noqa: S101, PT018  # what bound means
        said = _said(turn)
        touch(turn)
        turn.ask(room.agent_id, room.platform_chat_id, said.text, attachments=said.attachments)


def _said(turn: Turn) -> Said:
    """Return the text and files to ask about: those of the signal ``Say``, or of the event."""
    match turn.stimulus:
        case Triggered(signal=Say(said=said)):
            return said
    return Said(turn.argument, turn.inbound.attachments)


def _has_route(room: object, registry: Registry) -> bool:
    return (
        isinstance(room, RoomRecord)
        and room.agent_id in registry
        and room.platform_chat_id is not None
    )


def _has_chat(room: object) -> bool:
    return isinstance(room, RoomRecord) and (room.chat_id or room.platform_chat_id) is not None
