"""The flow that creates, lists, restores, repairs and erases a user's chats and their Space."""

from durable.flows.chats.erase import erase_user, explain_erasure
from durable.flows.chats.records import chats_of, name_in, next_number, user_of
from durable.flows.chats.repair import explain_invite, invite_to_all, repair
from durable.flows.chats.restore import list_chats, load_chat, offer_chats
from durable.flows.chats.rooms import (
    SPACE_PURPOSE,
    MakeRooms,
    PendingRooms,
    RoomRequest,
    chat_purpose,
    request_room,
    settle,
    space_request,
)
from durable.flows.room.texts import problem_of
from durable.flows.signals import ForgetUser, OnboardUser, WelcomeUser
from durable.records import UserRecord, user_key
from fsm import STAY, Event, EventKind, Flow, Registry, Scope, State, Turn, durable, on
from fsm.turn import bot_records
from fsm.values.ids import ChatId
from fsm.values.inbound import EffectRefused, RoomCreated, RoomFailed
from fsm.values.signals import LoadChat
from fsm.values.text import as_typed

IN_PROGRESS = "\N{HOURGLASS WITH FLOWING SAND}"
"""The reaction by which the bot shows that it has requested a room from the homeserver."""


class Chats(Flow):
    """Create, list, restore, repair and erase a user's chats, each of which has its own room.

    The homeserver creates a room only after the turn that requests it. The request is stored until
    a later turn handles the created room. So a crash in between loses nothing, and a refused
    request can be repeated.

    Args:
        registry: The agents.
        with_space: Whether each user gets a Space for their chats, which is created before the
            first chat.
    """

    scope = Scope.USER

    idle = State(initial=True)
    making_space = State(durable, record=PendingRooms)
    making_chat = State(durable, record=PendingRooms)

    anywhere = (idle, making_space, making_chat)
    making = (making_space, making_chat)

    onboard = Event(anywhere, STAY, on=OnboardUser)
    welcome = Event(anywhere, STAY, on=WelcomeUser)
    make_space = Event(anywhere, making_space, on=MakeRooms)
    make_chat = Event(anywhere, making_chat, on=MakeRooms)
    space_made_alone = Event(making_space, idle, on=EventKind.ROOM_CREATED)
    space_made = Event(making_space, making_chat, on=EventKind.ROOM_CREATED)
    last_chat_made = Event(making_chat, idle, on=EventKind.ROOM_CREATED)
    made = Event(anywhere, STAY, on=EventKind.ROOM_CREATED)
    not_made = Event(making, STAY, on=EventKind.ROOM_FAILED)
    not_invited = Event(anywhere, STAY, on=EventKind.REFUSED)
    new = Event(anywhere, STAY, command="new")
    show = Event(anywhere, STAY, command="chats")
    mend = Event(anywhere, STAY, command="repair")
    pick = Event(anywhere, STAY, command="load")
    load = Event(anywhere, STAY, on=LoadChat)
    ask_forget = Event(anywhere, STAY, command="forget-me")
    forget = Event(anywhere, idle, on=ForgetUser)

    @make_space.guard
    def lacks_space(self, turn: Turn) -> bool:
        """Whether each user gets a Space, and the sender has none yet."""
        user = bot_records(turn).find(UserRecord, user_key(turn.sender))
        return self._with_space and (user is None or user.space_id is None)

    @space_made.guard
    def made_space(self, turn: Turn) -> bool:
        """Whether the created room is the Space."""
        return RoomCreated.of(turn.inbound).purpose == SPACE_PURPOSE

    @space_made_alone.guard
    @last_chat_made.guard
    def made_all(self, turn: Turn) -> bool:
        """Whether the created room was requested, and no other request is pending."""
        pending, purpose = turn.data, RoomCreated.of(turn.inbound).purpose
        return (
            isinstance(pending, PendingRooms)
            and bool(pending.find(purpose))
            and not pending.without(purpose).wishes
        )

    @not_invited.guard
    def was_invite(self, turn: Turn) -> bool:
        """Whether the request that the homeserver refused is an invite."""
        return EffectRefused.of(turn.inbound).invited is not None

    def __init__(self, registry: Registry, *, with_space: bool = True) -> None:
        self._registry = registry
        self._with_space = with_space

    @on(onboard)
    async def begin(self, turn: Turn, pending: PendingRooms | None) -> None:
        """Request a Space for a user who has none, and a first chat.

        No chat is requested if the user has an open one or if one is pending.
        """
        is_begun = pending is not None and bool(pending.chats)
        has_chat = any(not chat.archived for chat in await chats_of(turn, turn.sender))
        requests = () if is_begun or has_chat else (await self._new_chat(turn, ""),)
        turn.trigger(MakeRooms(requests))

    @on(welcome)
    async def invite_again(self, turn: Turn) -> None:
        """Invite the user to their Space and all their open chats again."""
        await invite_to_all(turn)

    @on(new)
    async def begin_chat(self, turn: Turn) -> None:
        """Request a room for a new chat, which gets the name in the command's argument, if any."""
        _say_at_work(turn)
        turn.trigger(MakeRooms((await self._new_chat(turn, turn.argument),)))

    @on(make_space)
    def ask_for_space(self, turn: Turn, pending: PendingRooms | None) -> PendingRooms:
        """Request the Space, unless the homeserver has a request for it already.

        The request is sent again if the homeserver refused it, or if the signal ``MakeRooms`` asks
        for the Space. The rooms of the chats are requested by ``go_on``, once the Space exists.

        Returns:
            All pending requests, with the one for the Space.
        """
        requests = turn.signal(MakeRooms).requests
        pending = (pending or PendingRooms()).with_requests(
            w for w in requests if w.chat_id is not None
        )
        space = pending.find(SPACE_PURPOSE)
        is_wanted = any(request.purpose == SPACE_PURPOSE for request in requests)
        if space is None or space.refused or is_wanted:
            space = space_request(turn)
            request_room(turn, space, None)
        return pending.with_requests((space,))

    @on(make_chat)
    async def ask_for_chats(self, turn: Turn, pending: PendingRooms | None) -> PendingRooms:
        """Request the rooms of the signal ``MakeRooms``, and return all pending requests."""
        space_id = (await user_of(turn, turn.sender)).space_id
        for request in turn.signal(MakeRooms).requests:
            request_room(turn, request, space_id)
        return (pending or PendingRooms()).with_requests(turn.signal(MakeRooms).requests)

    @on(space_made)
    async def go_on(self, turn: Turn, pending: PendingRooms) -> PendingRooms:
        """Store the created Space, then request the rooms of the chats that waited for it.

        Returns:
            The requests that are still pending.
        """
        await settle(turn, pending, self._registry)
        left = pending.without(SPACE_PURPOSE)
        for request in left.wishes:
            request_room(turn, request, turn.room_id)
        return left

    @on(space_made_alone, last_chat_made)
    async def end(self, turn: Turn, pending: PendingRooms) -> None:
        """Store the created room, the last of the pending requests."""
        await settle(turn, pending, self._registry)

    @on(made)
    async def take(self, turn: Turn, pending: PendingRooms | None) -> PendingRooms | None:
        """Store the created room while other requests are pending.

        If no pending request is for the room, the bot leaves it.

        Returns:
            The requests that are still pending; None if there were none before.
        """
        await settle(turn, pending, self._registry)
        return pending.without(RoomCreated.of(turn.inbound).purpose) if pending else None

    @on(not_made)
    def report(self, turn: Turn, pending: PendingRooms) -> PendingRooms:
        """Tell the user why the homeserver refused to create the room.

        Returns:
            The pending requests. The refused request stays among them, for ``!repair``.
        """
        failed = RoomFailed.of(turn.inbound)
        request = pending.find(failed.purpose)
        if request is None:
            return pending
        message = turn.gettext(
            "I couldn't create “{name}”: {problem}. To try again, send `{prefix}repair`.",
            name=as_typed(request.name),
            problem=problem_of(failed),
            prefix=turn.prefix,
        )
        turn.say(message, room_id=request.asked_in)
        return pending.mark_refused(request.purpose)

    @on(not_invited)
    async def tell_of_invite(self, turn: Turn) -> None:
        """Tell the user that the homeserver refused the bot's invite, and why."""
        await explain_invite(turn)

    @on(show)
    async def list_all(self, turn: Turn) -> None:
        """Reply with the list of the sender's open chats."""
        turn.reply(await list_chats(turn, self._registry))

    @on(mend)
    async def rebuild(self, turn: Turn, pending: PendingRooms | None) -> None:
        """Request the user's missing rooms again, and invite the user to the existing rooms."""
        requests = await repair(turn, pending or PendingRooms(), with_space=self._with_space)
        if requests:
            turn.trigger(MakeRooms(requests))

    @on(pick)
    async def find_archived(self, turn: Turn) -> None:
        """Ask the sender which archived chat to restore, or restore the one that they named."""
        await offer_chats(turn, self._registry)

    @on(load)
    async def bring_back(self, turn: Turn) -> None:
        """Restore the chat of the signal ``LoadChat``; request a room if the chat needs one."""
        request = await load_chat(turn)
        if request is not None:
            _say_at_work(turn)
            turn.trigger(MakeRooms((request,)))

    @on(ask_forget)
    def confirm_forget(self, turn: Turn) -> None:
        """Ask the sender to confirm the deletion of all their records."""
        question = turn.gettext(
            "Delete everything I store about you? I will leave your Space and all your chats, "
            "and you won't be able to continue them."
        )
        turn.confirm(question, then=ForgetUser())

    @on(forget)
    async def forget_user(self, turn: Turn) -> None:
        """Tell the sender what the bot can't delete, delete their records, leave their rooms."""
        explain_erasure(turn)
        await erase_user(turn)

    async def _new_chat(self, turn: Turn, name: str) -> RoomRequest:
        number = await next_number(turn, turn.sender)
        return RoomRequest(
            purpose=chat_purpose(ChatId(f"C{number}")),
            name=name_in(name) or turn.gettext("Chat {number}", number=number),
            asked_in=turn.room_id,
        )


def _say_at_work(turn: Turn) -> None:
    """React to the command with ``IN_PROGRESS``: the room is created only after this turn.

    If the user gave the command by a reaction, react to the message to which they reacted.
    """
    inbound = turn.inbound
    turn.react(IN_PROGRESS, event_id=inbound.about if inbound.kind is EventKind.REACTION else None)
