"""Test users who each talk to the bot in a room of their own."""

import asyncio
import re
from collections.abc import Callable

from fsm.values.ids import EventId, RoomId, UserId
from strandline.testing.bot import BotProcess
from strandline.testing.errors import KitError, NotSeen
from strandline.testing.person import Json, Person, TimelineEvent, fold, reactions_to

Expected = str | re.Pattern[str] | Callable[[TimelineEvent], bool]
"""What a message must be: a text that it contains, a pattern found in it, or a predicate.

A predicate is called with the message and returns whether the message is the expected one.
"""

Message = TimelineEvent | EventId
"""A message as ``sees`` returns it, or the event id that ``say`` returns."""

HEADING = "since they last did something, they see"

WITHIN_SECONDS = 10.0
"""The default timeout of ``sees`` and ``sees_reaction``, and that of waiting for an invite."""


class User:
    """A test user who talks to the bot.

    The user's first action creates a room with the bot. ``sees`` looks only at messages and edits
    that are newer than the user's last action. The methods that send an event return its id.

    Args:
        name: The user's name in reports.
        person: The user's account, for actions that this class has no method for.
        bot: The bot to which the user talks.

    Attributes:
        rooms: The rooms that the user has used, oldest first. All actions happen in the last one.
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
        """The user's Matrix id."""
        return self.person.user_id

    @property
    def room(self) -> RoomId:
        """The room in which the user's actions happen.

        Raises:
            KitError: The user has no room yet, because they have done nothing.
        """
        if not self.rooms:
            what = f"{self.name} has no room with the bot yet: await {self.name}.meets_bot()"
            raise KitError(what)
        return self.rooms[-1]

    async def meets_bot(self) -> RoomId:
        """Return the user's room. If there is none, create one and wait until the bot has greeted.

        Raises:
            KitError: The bot declines the invite to the new room, or does not run.
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
        """Join another room, use it for all further actions, and return it.

        Args:
            room: The room. With None, wait for an invite to a room that is no Space, and join that
                room.

        Raises:
            KitError: The user is not invited in time, or can't join.
        """
        room = await self._next_invite() if room is None else room
        await self.person.join(room)
        self.rooms.append(room)
        self._newest = None
        await self._came_or_went(room)
        return room

    async def invites(self, other: "User") -> None:
        """Let another user join this user's room. The other user acts in that room from now on.

        This user invites the other one, unless the other one is in the room already.
        """
        room = await self.meets_bot()
        if await self.person.membership(room, other.user_id) != "join":
            await self.person.invite(room, other.user_id)
        await other.enters(room)

    async def leaves(self) -> None:
        """Leave the user's room."""
        await self.person.leave(self.room)
        await self._came_or_went(self.room)

    async def say(self, text: str) -> EventId:
        """Send a text message."""
        return self._write(await self.person.say(await self.meets_bot(), text))

    async def replies(self, text: str, *, to: Message | None = None) -> EventId:
        """Reply to the message ``to``; if that is None, to the bot's newest message."""
        target = await self._of_bot(to)
        return self._write(await self.person.reply(self.room, target, text))

    async def edits(self, text: str, *, message: Message | None = None) -> EventId:
        """Edit ``message``; if that is None, the user's newest message. Return the edit's id."""
        edit = await self.person.edit(self.room, self._own(message), text)
        self._newest = edit  # to the bot, an edit is part of its message
        return edit

    async def reacts(self, key: str, *, to: Message | None = None) -> EventId:
        """React with the emoji ``key`` to ``to``; if that is None, to the bot's newest message."""
        target = await self._of_bot(to)
        return self._did(await self.person.react(self.room, target, key))

    async def redacts(self, message: Message | None = None) -> EventId:
        """Redact an event of the user. Return the id of the redaction.

        Args:
            message: The event, which may be a reaction too; None for the user's newest message.
        """
        return self._did(await self.person.redact(self.room, self._own(message)))

    async def sends_file(
        self,
        name: str,
        data: bytes = b"something",
        *,
        text: str | None = None,
        mimetype: str = "application/octet-stream",
    ) -> EventId:
        """Send a file to the user's room, as an image if its type is an image type.

        Args:
            name: The file's name.
            data: The file's content.
            text: The caption; None for a file without a caption.
            mimetype: The file's type.
        """
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
        """Wait for a message that was sent or edited after the user's last action, and return it.

        Args:
            expected: What the message must be.
            by: The sender of the message; None for the bot.
            within_seconds: The maximum wait.

        Raises:
            NotSeen: The message did not arrive in time.
            KitError: A message of the bot is expected, but the bot does not run.
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
        """Check that the bot has not sent a message since the user's last action.

        If the bot runs, first wait until it has handled all events and sent all its messages.

        Args:
            expected: What the message must not be.

        Raises:
            NotSeen: The bot has sent such a message.
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
        """Wait until the bot has reacted to a message with an emoji.

        Args:
            key: The emoji.
            to: The message; None for the user's newest message.
            within_seconds: The maximum wait.

        Raises:
            NotSeen: The reaction did not arrive in time.
            KitError: The bot does not run.
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
        """Wait until the bot has joined the room, and return the event id of that join.

        Raises:
            KitError: The bot declines the invite, or does not run.
        """
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
        raise AssertionError  # without `until`, raw_timelines never ends

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
        """The messages that were sent or edited since this user's last action.

        Args:
            raw: All events of the room, oldest first.
            by: The sender of the messages; None for the bot.
        """
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
    """Return the id of the message that an event edits; for any other event, its own id."""
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
