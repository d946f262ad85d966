"""Walkers: test users who each take one path through a flow, in a room of their own."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import define, field

from durable.flows.room.flow import RoomRouting
from durable.inspector import StoreInspector
from fsm import Flow, Scope
from fsm.paths import Position, Walk
from fsm.values.ids import EventId, RoomId, UserId
from strandline.testing.bot import BotProcess
from strandline.testing.errors import KitError, NotSeen
from strandline.testing.homeserver import Synapse
from strandline.testing.person import Person
from strandline.testing.walking.transition_log import LoggedTransition, TransitionLog

QUESTION_KEY = "org.strandline.question"

PATIENCE_SECONDS = 30.0
"""The timeout for a result that must come; without it, the walker fails."""


@define(eq=False)
class Walker:
    """A test user who takes one walk, in a room that is created when it is needed.

    A sample for an event may be an ``async`` function that is called with the walker. It can use
    the methods ``says``, ``reacts``, ``replies``, ``sends_file``, ``sends_sticker``,
    ``takes_back``, ``invites``, ``removes_bot``, ``has_company``, ``loses_company`` and
    ``replaces_room``.

    Attributes:
        synapse: The homeserver.
        transitions: The transitions in the bot's log.
        flow: The flow of the walk.
        walk: The walk to take.
        bot: The bot's user id.
        person: The walker's account.
        here: The state of the walker's conversation, and the state after a restart from there.
        database: The path of the bot's database.
        room: The room in which the walk happens; None while there is none.
        happened: The ids of the events that the walker has sent, oldest first.
        turned_off: Why the walker can't take the rest of the walk; empty if it can.
        failure: The first problem that a check has found; empty if there is none.
    """

    synapse: Synapse
    transitions: TransitionLog
    flow: type[Flow]
    walk: Walk
    bot: UserId
    person: Person
    here: Position
    database: Path
    room: RoomId | None = None
    happened: list[EventId] = field(factory=list)
    seen: int = 0
    """How many of ``moves`` have already been used to update ``here``."""
    is_comparable: bool = True
    """Whether no restart has lost any state so far."""
    turned_off: str = ""
    failure: str = ""
    _company: list[Person] = field(factory=list)

    @classmethod
    async def arrive(
        cls,
        synapse: Synapse,
        transitions: TransitionLog,
        flow: type[Flow],
        walk: Walk,
        *,
        bot: BotProcess,
    ) -> "Walker":
        """Create a walker with a new account on the homeserver.

        Args:
            synapse: The homeserver.
            transitions: The transitions in the bot's log.
            flow: The flow of the walk.
            walk: The walk to take.
            bot: The bot to which the walker talks.
        """
        person = Person(synapse.url, await asyncio.to_thread(synapse.newcomer, "walker"))
        return cls(
            synapse=synapse,
            transitions=transitions,
            flow=flow,
            walk=walk,
            bot=bot.user_id,
            database=bot.database,
            person=person,
            here=Position(walk.idle, walk.idle),
        )

    @property
    def key(self) -> str:
        """The key of the walker's conversation with the flow."""
        return conversation_key(self.flow, self.room or "", self.person.user_id)

    @property
    def moves(self) -> list[LoggedTransition]:
        """All transitions of the walker's conversation so far, oldest first."""
        return self.transitions.moves[self.flow.name, self.key]

    async def at_home(self) -> RoomId:
        """Return the walker's room; if there is none, create one and wait until the bot has joined.

        If the bot has left the room and the conversation belongs to the user alone, another room is
        created.

        Raises:
            NotSeen: The bot has left the room, and the conversation belongs to that room.
        """
        if self.room is not None and self.is_known_to_be_left():
            if self.flow.scope is not Scope.USER:
                raise NotSeen("the bot is no longer in the room")
            self.room = None
        if self.room is None:
            await self.invites()
        assert self.room is not None  # noqa: S101  # inviting made it
        return self.room

    async def says(self, text: str) -> None:
        """Send a text message or a command."""
        self.happened.append(await self.person.say(await self.at_home(), text))

    async def reacts(self, key: str, *, which: int = -1) -> None:
        """React to a question of the flow.

        Args:
            key: The emoji.
            which: The question's index: 0 for the oldest question in the room, -1 for the newest.

        Raises:
            NotSeen: The flow has asked nothing in the room.
        """
        question = await self.question(which)
        self.happened.append(await self.person.react(await self.at_home(), question, key))

    async def replies(self, text: str, *, which: int = -1) -> None:
        """Reply to a question of the flow.

        Args:
            text: The text of the reply.
            which: The question's index: 0 for the oldest question in the room, -1 for the newest.

        Raises:
            NotSeen: The flow has asked nothing in the room.
        """
        question = await self.question(which)
        self.happened.append(await self.person.reply(await self.at_home(), question, text))

    async def sends_file(self, name: str = "notes.txt", data: bytes = b"walk on") -> None:
        """Send a small file without a caption."""
        room = await self.at_home()
        self.happened.append(await self.person.send_file(room, name, data))

    async def sends_sticker(self) -> None:
        """Send a sticker, whose content no flow reads."""
        content = {"body": "Wave", "url": "mxc://example.org/wave", "info": {}}
        sent = await self.person.send(await self.at_home(), "m.sticker", content)
        self.happened.append(sent)

    async def takes_back(self) -> None:
        """Redact the walker's newest event; if there is none, send a message and redact that."""
        room = await self.at_home()
        sent = self.happened[-1] if self.happened else await self.person.say(room, "Never mind.")
        self.happened.append(await self.person.redact(room, sent))

    async def invites(self) -> None:
        """Invite the bot to the walker's room, or to a new room if there is none.

        If the room is new, wait until the bot has joined.
        """
        if self.room is None:
            self.room = await self.person.create_room(invite=[self.bot])
        else:
            await self.person.invite(self.room, self.bot)
        await self.joined_by_bot()

    async def joined_by_bot(self) -> None:
        """Wait until the log has a join of the bot to the walker's room, at any time.

        Raises:
            KitError: The bot does not join in time.
        """

        def is_there() -> bool:
            moves = self.transitions.moves["room", self.room or ""]
            return any(move.by in _ARRIVALS for move in moves)

        if not await self.transitions.until(is_there, PATIENCE_SECONDS):
            raise KitError("the bot does not come into the room to which it was invited")

    async def removes_bot(self) -> None:
        """Remove the bot from the room."""
        await self.person.kick(await self.at_home(), self.bot)

    async def replaces_room(self) -> None:
        """Upgrade the room. It is made public first, so that the bot can join the new room."""
        room = await self.at_home()
        # the new room gets the join rules of the old one
        await self.person.set_state(room, "m.room.join_rules", {"join_rule": "public"})
        await self.person.upgrade(room)

    async def has_friend(self) -> Person:
        """Create another user, who is not in the room yet, and return that user."""
        friend = Person(self.synapse.url, await asyncio.to_thread(self.synapse.newcomer, "friend"))
        self._company.append(friend)
        return friend

    async def has_company(self) -> Person:
        """Create another user, let that user join the room, and return that user."""
        room, friend = await self.at_home(), await self.has_friend()
        await self.person.invite(room, friend.user_id)
        await friend.join(room)
        return friend

    async def loses_company(self) -> None:
        """Let the other user who was created last leave the room.

        If there is no other user, create one and let that user join first.
        """
        friend = self._company[-1] if self._company else await self.has_company()
        await friend.leave(await self.at_home())

    async def question(self, which: int = -1) -> EventId:
        """The event id of a question that the flow has asked in the walker's room.

        Args:
            which: The question's index: 0 for the oldest question in the room, -1 for the newest.

        Raises:
            NotSeen: The flow has asked nothing in the room.
        """
        room = await self.at_home()
        await self.hears_all()
        questions = [
            EventId(event["event_id"])
            for event in await self.person.raw_timeline(room)
            if _asking_flow(event) == self.flow.name
        ]
        if not questions:
            what = f"{self.flow.__name__} has asked nothing here"
            raise NotSeen(what)
        return questions[which]

    async def hears_all(self) -> None:
        """Wait until the bot has sent all its pending messages to the walker's room.

        Returns after ``PATIENCE_SECONDS`` in any case.
        """
        await self.transitions.until(lambda: not self._is_owed(), PATIENCE_SECONDS)

    async def is_with_bot(self) -> bool:
        """Whether the bot is in the walker's room once its pending messages there are sent."""
        room = self.room
        if room is None:
            return False
        await self.hears_all()
        is_member = await self.person.membership(room, self.bot) == "join"
        return is_member and not self.is_known_to_be_left()

    def is_known_to_be_left(self) -> bool:
        """Whether the log says that the bot has left the walker's room, or is about to leave."""
        moves = self.transitions.moves["room", self.room or ""]
        return bool(moves) and moves[-1].target in _ABSENT

    async def timeline(self) -> list[dict[str, Any]]:
        """All events of the walker's room, oldest first; empty if there is no room."""
        return [] if self.room is None else await self.person.raw_timeline(self.room)

    def person_anew(self) -> Person:
        """Return a second ``Person`` with the walker's account, for use in any event loop."""
        return Person(self.synapse.url, self.person.credentials, keeps_connections=False)

    async def close(self) -> None:
        """Close the HTTP connections of the walker, and those of the users that it created."""
        for person in (self.person, *self._company):
            await person.close()

    def _is_owed(self) -> bool:
        """Whether the outbox has a row for the walker's room that is not parked."""
        statement = "SELECT count(*) FROM outbox WHERE room_id = ? AND parked_error IS NULL"
        return StoreInspector(self.database).rows(statement, self.room) != [(0,)]


Cause = str | Callable[[Walker], Awaitable[object]]
"""An action that causes an event: a text to send, or a function that is awaited with the walker."""

_ABSENT = {RoomRouting.idle.name, RoomRouting.gone.name}

_ARRIVALS = {"joined", "returned", "returned_unbound"}


def _asking_flow(event: Mapping[str, Any]) -> str | None:
    mark = event.get("content", {}).get(QUESTION_KEY)
    return mark.get("flow") if isinstance(mark, Mapping) else None


def conversation_key(flow: type[Flow], room: str, user: UserId) -> str:
    """The key of the flow's conversation with this user in this room, in the log and the store."""
    match flow.scope:
        case Scope.USER:
            return user
        case Scope.ROOM:
            return room
        case Scope.MEMBER:
            return f"{room}|{user}"
