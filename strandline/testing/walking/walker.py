"""Walkers: people who each walk one way through a flow, in a room of their own."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from attrs import define, field

from fsm import Flow, Scope
from fsm.ids import EventId, RoomId, UserId
from fsm.walks import Position, Walk
from strandline.testing.errors import KitError, NotSeen
from strandline.testing.homeserver import Synapse
from strandline.testing.person import Person
from strandline.testing.walking.journal import Journal, Move

QUESTION_KEY = "org.strandline.question"

PATIENCE_SECONDS = 30.0
"""How long a walker waits for what must come."""

LOOK_SECONDS = 0.05


@define(eq=False)
class Walker:
    """Somebody with an account, a room with the bot once that is needed, and a way to go.

    What a sample input does may be an ``async`` function of the walker: its verbs are ``says``,
    ``reacts``, ``replies``, ``sends_file``, ``takes_back``, ``invites``, ``removes_bot``,
    ``has_company``, ``loses_company`` and ``replaces_room``.

    Attributes:
        person: The account.
        room: The room in which the walk happens.
        happened: The ids of what the walker has sent, in order.
        here: Where the conversation stands, and where a restart would leave it.
    """

    synapse: Synapse
    journal: Journal
    flow: type[Flow]
    walk: Walk
    bot: UserId
    person: Person
    here: Position
    room: RoomId | None = None
    happened: list[EventId] = field(factory=list)
    seen: int = 0
    """So many of the conversation's moves are taken into account."""
    is_comparable: bool = True
    """No restart has made anything forget, so far."""
    turned_off: str = ""
    failure: str = ""
    _company: list[Person] = field(factory=list)

    @classmethod
    async def arrive(
        cls, synapse: Synapse, journal: Journal, flow: type[Flow], walk: Walk, *, bot: UserId
    ) -> "Walker":
        """Somebody new."""
        person = Person(synapse.url, await asyncio.to_thread(synapse.newcomer, "walker"))
        return cls(
            synapse=synapse,
            journal=journal,
            flow=flow,
            walk=walk,
            bot=bot,
            person=person,
            here=Position(walk.idle, walk.idle),
        )

    @property
    def key(self) -> str:
        """The key of the walker's conversation."""
        return conversation_key(self.flow, self.room or "", self.person.user_id)

    @property
    def moves(self) -> list[Move]:
        """All steps of the walker's conversation so far."""
        return self.journal.moves[self.flow.name, self.key]

    async def at_home(self) -> RoomId:
        """The room; a new one, in which the bot has greeted, if there is none yet."""
        if self.room is None:
            await self.invites()
        assert self.room is not None  # noqa: S101  # inviting made it
        return self.room

    async def says(self, text: str) -> None:
        """Write a message or a command."""
        self.happened.append(await self.person.say(await self.at_home(), text))

    async def reacts(self, key: str) -> None:
        """Put an emoji on the newest question of the flow's."""
        question = await self.question()
        self.happened.append(await self.person.react(await self.at_home(), question, key))

    async def replies(self, text: str) -> None:
        """Reply to the newest question of the flow's."""
        question = await self.question()
        self.happened.append(await self.person.reply(await self.at_home(), question, text))

    async def sends_file(self, name: str = "notes.txt", data: bytes = b"walk on") -> None:
        """Send a small file without a caption."""
        room = await self.at_home()
        self.happened.append(await self.person.send_file(room, name, data))

    async def takes_back(self) -> None:
        """Redact the newest thing that the walker has sent."""
        room = await self.at_home()
        sent = self.happened[-1] if self.happened else await self.person.say(room, "Never mind.")
        self.happened.append(await self.person.redact(room, sent))

    async def invites(self) -> None:
        """Invite the bot: into a new room, or again into the one that it has left."""
        if self.room is None:
            self.room = await self.person.create_room(invite=[self.bot])
        else:
            await self.person.invite(self.room, self.bot)
        await self._joined(self.room)

    async def removes_bot(self) -> None:
        """Remove the bot from the room."""
        await self.person.kick(await self.at_home(), self.bot)

    async def replaces_room(self) -> None:
        """Replace the room by a new one."""
        await self.person.upgrade(await self.at_home())

    async def has_company(self) -> Person:
        """Have somebody else come into the room."""
        room = await self.at_home()
        friend = Person(self.synapse.url, await asyncio.to_thread(self.synapse.newcomer, "friend"))
        self._company.append(friend)
        await self.person.invite(room, friend.user_id)
        await friend.join(room)
        return friend

    async def loses_company(self) -> None:
        """Have the last who came in leave again."""
        friend = self._company[-1] if self._company else await self.has_company()
        await friend.leave(await self.at_home())

    async def question(self) -> EventId:
        """The newest question of the flow's in the room.

        Raises:
            NotSeen: There is none.
        """
        room, end = await self.at_home(), asyncio.get_running_loop().time() + 2
        while True:
            for event in reversed(await self.person.raw_timeline(room)):
                mark = event.get("content", {}).get(QUESTION_KEY)
                if isinstance(mark, Mapping) and mark.get("flow") == self.flow.name:
                    return EventId(event["event_id"])
            if asyncio.get_running_loop().time() > end:
                what = f"{self.flow.__name__} has asked nothing here"
                raise NotSeen(what)
            await asyncio.sleep(LOOK_SECONDS)

    async def is_with_bot(self) -> bool:
        """Whether the bot is in the walker's room."""
        if self.room is None:
            return False
        return await self.person.membership(self.room, self.bot) == "join"

    async def timeline(self) -> list[dict[str, Any]]:
        """Every event of the room, oldest first."""
        return [] if self.room is None else await self.person.raw_timeline(self.room)

    def person_anew(self) -> Person:
        """The same account, with nothing to close."""
        return Person(self.synapse.url, self.person.credentials, keeps_connections=False)

    async def close(self) -> None:
        """Close the connections."""
        for person in (self.person, *self._company):
            await person.close()

    async def _joined(self, room: RoomId) -> None:
        """Wait until the bot is in the room and has said what it says then."""

        def is_there() -> bool:
            return any(move.by in _ARRIVALS for move in self.journal.moves["room", room])

        if not await self.journal.until(is_there, PATIENCE_SECONDS):
            raise KitError("the bot does not come into the room to which it was invited")


Cause = str | Callable[[Walker], Awaitable[object]]
"""What a person does to cause an event: a text to say, or any other doing."""

_ARRIVALS = {"joined", "returned", "returned_unbound"}


def conversation_key(flow: type[Flow], room: str, user: UserId) -> str:
    """The key of this user's conversation in this room, as the log and the store have it."""
    match flow.scope:
        case Scope.USER:
            return user
        case Scope.ROOM:
            return room
        case Scope.MEMBER:
            return f"{room}|{user}"
