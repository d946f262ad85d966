"""A user's chats and the Space that they lie in: made, listed, loaded, mended, forgotten."""

from durable.flows.chats.erase import forget_all, say_what_stays
from durable.flows.chats.records import chats_of, name_in, next_number, user_of
from durable.flows.chats.repair import explain_invite, repair, welcome_back
from durable.flows.chats.restore import list_chats, load_chat, offer_chats
from durable.flows.chats.rooms import (
    SPACE_PURPOSE,
    MakeRooms,
    PendingRooms,
    RoomRequest,
    ask_for,
    chat_purpose,
    settle,
    space_wish,
)
from durable.flows.room.texts import problem_of
from durable.flows.signals import ForgetUser, OnboardUser, WelcomeUser
from durable.records import UserRecord, user_key
from fsm import STAY, Event, EventKind, Flow, Registry, Scope, State, Turn, durable, on
from fsm.turn import bot_records
from fsm.values.ids import ChatId
from fsm.values.signals import LoadChat
from fsm.values.text import as_typed

AT_WORK = "\N{HOURGLASS WITH FLOWING SAND}"
"""The emoji that says that a room is being made."""


class Chats(Flow):
    """The rooms of one user, and those that are being made.

    Rooms are made by the homeserver, after the turn that asks. What was asked for stands in the
    plan until the turn in which it is there, so that a crash in between forgets nothing, and a
    refusal can be tried again.

    Args:
        registry: The agents.
        with_space: Chats lie in a Space of their user's, which is made before the first of them.
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
    space_made_alone = Event(making_space, idle, on=EventKind.MADE)
    space_made = Event(making_space, making_chat, on=EventKind.MADE)
    last_chat_made = Event(making_chat, idle, on=EventKind.MADE)
    made = Event(anywhere, STAY, on=EventKind.MADE)
    not_made = Event(making, STAY, on=EventKind.NOT_MADE)
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
        """There must be a Space before there is a chat."""
        user = bot_records(turn).find(UserRecord, user_key(turn.sender))
        return self._with_space and (user is None or user.space_id is None)

    @space_made.guard
    def made_space(self, turn: Turn) -> bool:
        """It is the Space that was made."""
        return turn.inbound.body == SPACE_PURPOSE

    @space_made_alone.guard
    @last_chat_made.guard
    def made_all(self, turn: Turn) -> bool:
        """It was the last room of the plan."""
        plan, purpose = turn.data, turn.inbound.body
        return (
            isinstance(plan, PendingRooms)
            and bool(plan.find(purpose))
            and not plan.without(purpose).wishes
        )

    @not_invited.guard
    def was_invite(self, turn: Turn) -> bool:
        """What was refused is an invite."""
        return turn.inbound.body == "m.room.member"

    def __init__(self, registry: Registry, *, with_space: bool = True) -> None:
        self._registry = registry
        self._with_space = with_space

    @on(onboard)
    async def begin(self, turn: Turn, plan: PendingRooms | None) -> None:
        """Somebody without a Space has invited the bot: make one, with a first chat in it."""
        is_begun = plan is not None and bool(plan.chats)
        has_chat = any(not chat.archived for chat in await chats_of(turn, turn.sender))
        wishes = () if is_begun or has_chat else (await self._new_chat(turn, ""),)
        turn.trigger(MakeRooms(wishes))

    @on(welcome)
    async def invite_again(self, turn: Turn) -> None:
        """Somebody who has a Space has invited the bot: perhaps they had left everything."""
        await welcome_back(turn)

    @on(new)
    async def begin_chat(self, turn: Turn) -> None:
        """Have a room made for another chat."""
        _say_at_work(turn)
        turn.trigger(MakeRooms((await self._new_chat(turn, turn.argument),)))

    @on(make_space)
    def ask_for_space(self, turn: Turn, plan: PendingRooms | None) -> PendingRooms:
        """Ask for the Space, unless that is under way; the chats wait for it."""
        wishes = turn.signal(MakeRooms).wishes
        plan = (plan or PendingRooms()).having(w for w in wishes if w.chat_id is not None)
        space = plan.find(SPACE_PURPOSE)
        is_wanted = any(wish.purpose == SPACE_PURPOSE for wish in wishes)
        if space is None or space.refused or is_wanted:
            space = space_wish(turn)
            ask_for(turn, space, None)
        return plan.having((space,))

    @on(make_chat)
    async def ask_for_chats(self, turn: Turn, plan: PendingRooms | None) -> PendingRooms:
        """Ask for the rooms of these chats."""
        space_id = (await user_of(turn, turn.sender)).space_id
        for wish in turn.signal(MakeRooms).wishes:
            ask_for(turn, wish, space_id)
        return (plan or PendingRooms()).having(turn.signal(MakeRooms).wishes)

    @on(space_made)
    async def go_on(self, turn: Turn, plan: PendingRooms) -> PendingRooms:
        """Take the Space, and ask for the chats that waited for it."""
        await settle(turn, plan, self._registry)
        left = plan.without(SPACE_PURPOSE)
        for wish in left.wishes:
            ask_for(turn, wish, turn.room_id)
        return left

    @on(space_made_alone, last_chat_made)
    async def end(self, turn: Turn, plan: PendingRooms) -> None:
        """Take the room; nothing else is to be made."""
        await settle(turn, plan, self._registry)

    @on(made)
    async def take(self, turn: Turn, plan: PendingRooms | None) -> PendingRooms | None:
        """Take the room; others are still to be made, or nobody waits for it any more."""
        await settle(turn, plan, self._registry)
        return plan.without(turn.inbound.body) if plan else None

    @on(not_made)
    def report(self, turn: Turn, plan: PendingRooms) -> PendingRooms:
        """Say where it was asked for what the homeserver said, and keep it in the plan."""
        wish = plan.find(turn.inbound.body)
        if wish is None:
            return plan
        told = turn.gettext(
            "I couldn't make “{name}”: {problem}. `{prefix}repair` has me try again.",
            name=as_typed(wish.name),
            problem=problem_of(turn),
            prefix=turn.prefix,
        )
        turn.say(told, room_id=wish.asked_in)
        return plan.refusing(wish.purpose)

    @on(not_invited)
    async def tell_of_invite(self, turn: Turn) -> None:
        """Say to which room the homeserver does not let the bot invite."""
        await explain_invite(turn)

    @on(show)
    async def list_all(self, turn: Turn) -> None:
        """List the chats."""
        turn.reply(await list_chats(turn, self._registry))

    @on(mend)
    async def rebuild(self, turn: Turn, plan: PendingRooms | None) -> None:
        """Make again what is missing, and touch nothing that is there."""
        wishes = await repair(turn, plan or PendingRooms(), with_space=self._with_space)
        if wishes:
            turn.trigger(MakeRooms(wishes))

    @on(pick)
    async def find_archived(self, turn: Turn) -> None:
        """Have an archived chat chosen, unless the command has named one."""
        await offer_chats(turn, self._registry)

    @on(load)
    async def bring_back(self, turn: Turn) -> None:
        """Bring an archived chat back."""
        wish = await load_chat(turn)
        if wish is not None:
            _say_at_work(turn)
            turn.trigger(MakeRooms((wish,)))

    @on(ask_forget)
    def confirm_forget(self, turn: Turn) -> None:
        """Ask first: nothing of it comes back."""
        question = turn.gettext(
            "Forget all that I hold on you? I leave your Space and all your chats, and you can't "
            "go on with them."
        )
        turn.confirm(question, then=ForgetUser())

    @on(forget)
    async def forget_user(self, turn: Turn) -> None:
        """Forget, say what that can't reach, and leave."""
        say_what_stays(turn)
        await forget_all(turn)

    async def _new_chat(self, turn: Turn, name: str) -> RoomRequest:
        number = await next_number(turn, turn.sender)
        return RoomRequest(
            purpose=chat_purpose(ChatId(f"C{number}")),
            name=name_in(name) or turn.gettext("Chat {number}", number=number),
            asked_in=turn.room_id,
        )


def _say_at_work(turn: Turn) -> None:
    """The room comes later; a reaction is acknowledged where it was put."""
    inbound = turn.inbound
    turn.react(AT_WORK, event_id=inbound.about if inbound.kind is EventKind.REACTION else None)
