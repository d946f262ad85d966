"""Test users, each with a room in which they talk to the bot."""

import asyncio
import re
from collections.abc import Callable

from fsm.values.ids import EventId, RoomId, UserId
from strandline.testing.bot import BotProcess
from strandline.testing.errors import KitError, NotSeen
from strandline.testing.person import Json, Person, TimelineEvent, fold, reactions_to

Expected = str | re.Pattern[str] | Callable[[TimelineEvent], bool]
"""A text that the message contains, a pattern that it matches, or a predicate."""

Message = TimelineEvent | EventId
"""A message, as ``sees`` returns it, or its event id, as ``say`` does."""

HEADING = "since they last did something, they see"

WITHIN_SECONDS = 10.0
"""The default timeout of ``sees``."""


class User:
    """A test user who talks to the bot.

    The user's room with the bot is created by their first action. ``sees`` looks only at messages
    and edits that are newer than their last action.

    Args:
        name: Their name in reports.
        person: Their account, for actions that this class has no method for.
        bot: The bot that they talk to.
    """

    def __init__(self, name: str, person: Person, bot: BotProcess) -> None:
        self.name = name
        self.person = person
        self.bot = bot
        self.rooms: list[RoomId] = []
        self._newest: EventId | None = None
        self._wrote: EventId | None = None
        self._entering = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def user_id(self) -> UserId:
        """Their Matrix id."""
        return self.person.user_id

    @property
    def room(self) -> RoomId:
        """The user's room with the bot.

        Raises:
            KitError: The user has done nothing yet.
        """
        if not self.rooms:
            what = f"{self.name} has no room with the bot yet: await {self.name}.meets_bot()"
            raise KitError(what)
        return self.rooms[-1]

    async def meets_bot(self) -> RoomId:
        """Create the room with the bot, if needed, and wait for the bot's greeting.

        Raises:
            KitError: The bot does not join.
        """
        async with self._entering:
            if not self.rooms:
                self.bot.must_run()
                room = await self.person.create_room(invite=[self.bot.user_id])
                self.bot.hears(await self._arrival(room))
                await self.bot.settled()
                self.rooms.append(room)
        return self.room

    async def enters(self, room: RoomId | None = None) -> RoomId:
        """Join another room, and use it for all further actions.

        Args:
            room: The room; None for the room of the user's next invite that is not to a Space.
        """
        room = await self._next_invite() if room is None else room
        await self.person.join(room)
        self.rooms.append(room)
        self._newest = None
        await self._came_or_went(room)
        return room

    async def invites(self, other: "User") -> None:
        """Invite another user to this room, and let them join and use it from now on."""
        room = await self.meets_bot()
        if await self.person.membership(room, other.user_id) != "join":
            await self.person.invite(room, other.user_id)
        await other.enters(room)

    async def leaves(self) -> None:
        """Leave the room."""
        await self.person.leave(self.room)
        await self._came_or_went(self.room)

    async def say(self, text: str) -> EventId:
        """Send a text message."""
        return self._write(await self.person.say(await self.meets_bot(), text))

    async def replies(self, text: str, *, to: Message | None = None) -> EventId:
        """Reply to the bot's newest message, or to another message."""
        target = await self._of_bot(to)
        return self._write(await self.person.reply(self.room, target, text))

    async def edits(self, text: str, *, message: Message | None = None) -> EventId:
        """Edit the user's newest message, or another message of theirs."""
        edit = await self.person.edit(self.room, self._own(message), text)
        self._newest = edit  # the bot counts it to the message
        return edit

    async def reacts(self, key: str, *, to: Message | None = None) -> EventId:
        """React to the bot's newest message, or to another message."""
        target = await self._of_bot(to)
        return self._did(await self.person.react(self.room, target, key))

    async def redacts(self, message: Message | None = None) -> EventId:
        """Redact the user's newest message, or another event of theirs, such as a reaction."""
        return self._did(await self.person.redact(self.room, self._own(message)))

    async def sends_file(
        self,
        name: str,
        data: bytes = b"something",
        *,
        text: str | None = None,
        mimetype: str = "application/octet-stream",
    ) -> EventId:
        """Send a file, with a caption if there is one."""
        room = await self.meets_bot()
        msgtype = "m.image" if mimetype.startswith("image/") else "m.file"
        return self._write(
            await self.person.send_file(
                room, name, data, mimetype=mimetype, msgtype=msgtype, caption=text
            )
        )

    async def sees(
        self,
        expected: Expected,
        *,
        by: "User | None" = None,
        within_seconds: float = WITHIN_SECONDS,
    ) -> TimelineEvent:
        """Wait for a message of the bot, or of ``by``, that is newer than the user's last action.

        Raises:
            NotSeen: The message did not arrive in time.
            KitError: The bot has ended by itself.
        """
        __tracebackhide__ = True
        await self.meets_bot()
        until = asyncio.get_running_loop().time() + within_seconds
        async for raw in self.person.raw_timelines(self.room, until=until):
            news = self._news(raw, by)
            if found := _first(expected, news):
                return found
            if by is None:
                self.bot.must_run()
        raise NotSeen(self._unseen(expected, by, within_seconds), _listed(news), HEADING)

    async def does_not_see(self, expected: Expected) -> None:
        """Wait until nothing is pending in the bot, and check that it has not sent the message.

        Raises:
            NotSeen: The bot has sent it.
        """
        __tracebackhide__ = True
        await self.meets_bot()
        if self.bot.exit_code() is None:
            await self.bot.settled()
        news = self._news(await self.person.raw_timeline(self.room), None)
        if (seen := _first(expected, news)) is not None:
            what = f"{self.name} sees {seen.body!r}, and should not see {_told(expected)}"
            raise NotSeen(what, _listed(news), HEADING)

    async def sees_reaction(
        self,
        key: str,
        *,
        to: Message | None = None,
        within_seconds: float = WITHIN_SECONDS,
    ) -> None:
        """Wait until the bot has reacted with this emoji to the user's newest or another message.

        Raises:
            NotSeen: The reaction did not arrive in time.
            KitError: The bot has ended by itself.
        """
        __tracebackhide__ = True
        event_id = self._own(to)
        until = asyncio.get_running_loop().time() + within_seconds
        async for raw in self.person.raw_timelines(self.room, until=until):
            found = reactions_to(event_id, raw)
            if (self.bot.user_id, key) in found:
                return
            self.bot.must_run()
        keys = ", ".join(key for _, key in found) or "none"
        what = f"{self.name} does not see the reaction {key}; there is {keys}"
        raise NotSeen(what)

    async def _arrival(self, room: RoomId) -> EventId:
        """Wait until the bot has joined the room; return the event id of its join."""
        async for raw in self.person.raw_timelines(room):
            for event in raw:
                if event["type"] != "m.room.member" or event["state_key"] != self.bot.user_id:
                    continue
                if event["content"]["membership"] == "join":
                    return EventId(event["event_id"])
                if event["content"]["membership"] == "leave":
                    why = "see access.users in its config"
                    what = f"the bot declines {self.name}'s invite; {why}"
                    raise KitError(what)
            self.bot.must_run()
        raise AssertionError  # timelines do not end

    async def _came_or_went(self, room: RoomId) -> None:
        raw = await self.person.raw_timeline(room)
        mine = [e for e in raw if e.get("state_key") == self.user_id]
        self.bot.hears(mine[-1]["event_id"])

    async def _next_invite(self) -> RoomId:
        try:
            async with asyncio.timeout(WITHIN_SECONDS):
                return await self.person.invite_to(is_space=False)
        except TimeoutError as error:
            what = f"{self.name} is invited to no room"
            raise KitError(what) from error

    def _write(self, event_id: EventId) -> EventId:
        self._wrote = event_id
        return self._did(event_id)

    def _did(self, event_id: EventId) -> EventId:
        self._newest = event_id
        self.bot.hears(event_id)
        return event_id

    def _own(self, message: Message | None) -> EventId:
        if message is not None:
            return _id_of(message)
        if self._wrote is None:
            what = f"{self.name} has written nothing yet"
            raise KitError(what)
        return self._wrote

    async def _of_bot(self, message: Message | None) -> EventId:
        if message is not None:
            return _id_of(message)
        room = await self.meets_bot()
        said = [e for e in await self.person.timeline(room) if e.sender == self.bot.user_id]
        if not said:
            what = f"the bot has said nothing in {self.name}'s room"
            raise KitError(what)
        return said[-1].event_id

    def _news(self, raw: list[Json], by: "User | None") -> list[TimelineEvent]:
        """The messages and edits of somebody since this user's last action."""
        ids = [event["event_id"] for event in raw]
        start = ids.index(self._newest) + 1 if self._newest in ids else 0
        speaker = self.bot.user_id if by is None else by.user_id
        new = {_subject(event) for event in raw[start:] if event["sender"] == speaker}
        return [m for m in fold(raw) if m.sender == speaker and m.event_id in new]

    def _unseen(self, expected: Expected, by: "User | None", seconds: float) -> str:
        who = "the bot" if by is None else by.name
        return f"{self.name} does not see {_told(expected)} by {who} within {seconds:g} s"


def _id_of(message: Message) -> EventId:
    return message.event_id if isinstance(message, TimelineEvent) else message


def _subject(event: dict[str, object]) -> object:
    """The id of the message that an event is or edits."""
    content = event.get("content")
    relation = content.get("m.relates_to", {}) if isinstance(content, dict) else {}
    is_edit = relation.get("rel_type") == "m.replace"
    return relation.get("event_id") if is_edit else event["event_id"]


def _first(expected: Expected, messages: list[TimelineEvent]) -> TimelineEvent | None:
    return next((message for message in messages if _fits(expected, message)), None)


def _fits(expected: Expected, message: TimelineEvent) -> bool:
    if isinstance(expected, str):
        return expected in message.body
    if isinstance(expected, re.Pattern):
        return expected.search(message.body) is not None
    return expected(message)


def _told(expected: Expected) -> str:
    if isinstance(expected, str):
        return repr(expected)
    return f"/{expected.pattern}/" if isinstance(expected, re.Pattern) else "what was expected"


def _listed(news: list[TimelineEvent]) -> str:
    return "\n".join(f"- {message.body}" for message in news) or "- (nothing)"
