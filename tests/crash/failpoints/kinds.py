"""The kinds of event that a kill may fall upon."""

import asyncio
import json
import sqlite3
from abc import ABC, abstractmethod
from contextlib import closing, suppress
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from attrs import asdict

from fsm.effects import NewRoom
from fsm.states import hours
from matrix.outbound.room_creation import alias_of
from tests.crash.failpoints.place import Place, Said
from tests.support import rota
from tests.support.limits import HANGS_SECONDS
from tests.support.setup import Bot, Setup

YES = "is archived"
NO_QUESTION = "I have no open question"
WHICH_AGENT = "Choose one"
SELECTED = "You selected"


def echo(text: str, agent: int = 1) -> str:
    return rf"^\[agent-{agent} · chat \d+\] {text}$"


def execute(bot: Bot, statement: str, *values: object) -> None:
    """Change the database as another program would, while the bot runs."""
    with closing(sqlite3.connect(bot.database)) as db, db:
        db.execute(statement, values)


class Kind(ABC):
    """One kind of event.

    Attributes:
        owns: The points that it is always killed at when it is run; it is known to reach them.
        least: At so many points CI kills it, if it reaches so many.
        is_start: Whether the event is the start of the bot, which is then down before it.
        has_bots_of_its_own: Whether each cell needs a new bot.
    """

    owns: ClassVar[tuple[str, ...]] = ()
    least: ClassVar[int] = 6
    is_start: ClassVar[bool] = False
    has_bots_of_its_own: ClassVar[bool] = False
    is_encrypted: ClassVar[bool] = False
    bot: ClassVar[dict[str, Any]] = {}

    def has(self, point: str) -> bool:
        return any(fnmatchcase(point, pattern) for pattern in self.owns)

    async def new_bot(self, setup: Setup) -> Bot:
        return await setup.bot(start=False, **self.bot)

    async def place(self, setup: Setup, bot: Bot) -> Place:
        person = await setup.person("alice", encrypted=self.is_encrypted)
        return Place(setup, bot, person)

    async def prepare(self, place: Place) -> None:
        """All that precedes the event: here, a room in which the bot has greeted the person."""
        await self.enter(place)
        await place.greeted()

    async def enter(self, place: Place) -> None:
        place.room = await place.person.create_room(
            invite=[place.bot.user_id], encrypted=self.is_encrypted
        )

    @abstractmethod
    async def event(self, place: Place) -> None:
        """What the bot is killed at."""

    async def done(self, place: Place) -> None:
        """Wait until the bot has done with the event all that people see."""
        await place.answered()

    def died(self, place: Place) -> None:  # noqa: B027  # most forget nothing
        """What the bot's death at the event means for the answers: what it forgot is on no disk."""

    async def done_again(self, place: Place) -> None:
        """The same, after the bot has died at the event and was started again."""
        await self.done(place)

    async def go_on(self, place: Place) -> None:
        """After the new start: one more message, and a look at the status."""
        await place.ask("more", echo("more"))
        await place.ask("!status", "This room: ")

    async def verdict(self, place: Place) -> None:
        await place.verdict()


class Bound(Kind):
    """One whose room is bound before the event."""

    async def prepare(self, place: Place) -> None:
        await super().prepare(place)
        await place.ask("hello", echo("hello"))


class Message(Bound):
    owns = ("sync.*", "batch.*", "event.arrived", "checkpoint.*")

    async def event(self, place: Place) -> None:
        await place.say("question", echo("question"))


class FirstMessage(Kind):
    owns = ("turn.*", "agent.*", "answer.commit.*", "delivery.send.*")

    async def event(self, place: Place) -> None:
        await place.say("question", echo("question"))


class Select(Kind):
    owns = ("commit.*",)
    bot: ClassVar[dict[str, Any]] = {"agents": 2}

    async def event(self, place: Place) -> None:
        await place.say("!agent 2", SELECTED)

    async def go_on(self, place: Place) -> None:
        await place.ask("more", echo("more", 2))
        await place.ask("!status", "This room: ")


class Yes(Bound):
    owns = ("turn.commit.*", "delivery.done")

    async def prepare(self, place: Place) -> None:
        await super().prepare(place)
        await place.ask("!archive", "Archive “")

    async def event(self, place: Place) -> None:
        await place.say("!yes", YES)

    def died(self, place: Place) -> None:
        yes = place.said[-1]
        yes.is_to_get(YES if place.has_committed(yes) else NO_QUESTION)

    async def go_on(self, place: Place) -> None:
        await place.ask("more", echo("more"), other=("This chat is archived",))
        await place.ask("!status", "This room: ")

    async def verdict(self, place: Place) -> None:
        await place.verdict()
        user = place.person.user_id
        [(key,)] = place.bot.store.rows("SELECT key FROM kv WHERE key GLOB ?", f"chat:{user}:*")
        said_so = any(YES in e.body for e in await place.events())
        assert place.bot.store.get(key)["archived"] is said_so


class Rename(Bound):
    """A new name for a room that the bot may rename: it is told after the room has it."""

    owns = ("delivery.told", "delivery.state.*")

    async def prepare(self, place: Place) -> None:
        await super().prepare(place)
        levels = await place.person.state(place.room, "m.room.power_levels")
        levels["users"][place.bot.user_id] = 50
        await place.person.set_state(place.room, "m.room.power_levels", levels)

    async def event(self, place: Place) -> None:
        await place.say("!rename Low tide", "is now called “Low tide”")

    async def verdict(self, place: Place) -> None:
        await place.verdict()
        record = place.bot.store.get(f"matrix_room:{place.room}")
        named = await place.person.state(place.room, "m.room.name")
        assert (record["display_name"], named["name"]) == ("Low tide", "Low tide")


class Load(Bound):
    """The choice of an archived chat from a list."""

    owns = ("turn.commit.*",)
    archived = "This chat is archived"

    async def prepare(self, place: Place) -> None:
        await super().prepare(place)
        await place.ask("!archive", "Archive “")
        await place.ask("!yes", YES)
        await place.ask("!load", "Which chat should I restore")

    async def event(self, place: Place) -> None:
        await place.say("1", "is restored")

    def died(self, place: Place) -> None:
        """A list that is forgotten leaves a number for the agent, which answers here no more."""
        choice = place.said[-1]
        self.is_back = place.has_committed(choice)
        choice.is_to_get("is restored" if self.is_back else self.archived)

    async def go_on(self, place: Place) -> None:
        await place.ask("more", echo("more"), other=(self.archived,))
        await place.ask("!status", "This room: ")

    async def verdict(self, place: Place) -> None:
        await place.verdict()
        [(key,)] = place.bot.store.rows(
            "SELECT key FROM kv WHERE key GLOB ?", f"chat:{place.person.user_id}:*"
        )
        is_back = any("is restored" in e.body for e in await place.events())
        assert place.bot.store.get(key)["archived"] is not is_back


class Forget(Bound):
    """A yes to being forgotten."""

    owns = ("delivery.leave.*",)
    forgotten = "I have deleted everything I stored about you"

    async def prepare(self, place: Place) -> None:
        await super().prepare(place)
        await place.ask("!forget-me", "Delete everything I store about you")

    async def event(self, place: Place) -> None:
        await place.say("!yes", self.forgotten)

    async def done(self, place: Place) -> None:
        await super().done(place)
        if place.said[-1].accepts([self.forgotten]):
            await place.setup.is_left_by(place.bot, place.room)

    def died(self, place: Place) -> None:
        yes = place.said[-1]
        yes.is_to_get(self.forgotten if place.has_committed(yes) else NO_QUESTION)

    async def go_on(self, place: Place) -> None:
        """There is nobody left to talk to, unless the question was forgotten first."""

    async def verdict(self, place: Place) -> None:
        """All of it is gone, or none of it is."""
        await place.answered()
        kept = [key for (key,) in place.bot.store.rows("SELECT key || value FROM kv")]
        is_forgotten = place.said[-1].accepts([self.forgotten])
        assert any(place.person.user_id in text for text in kept) is not is_forgotten


class Streaming(Kind):
    owns = ("answer.*", "outbox.delete.*")
    bot: ClassVar[dict[str, Any]] = {
        "options": {"chunks": 4, "chunk_seconds": 0.25},
        "limits": {"edit_seconds": 0.1},
    }

    async def event(self, place: Place) -> None:
        await place.say("a question of some length", echo("a question of some length"))


class Invite(Kind):
    owns = ("delivery.join.*", "delivery.send.after")

    async def prepare(self, place: Place) -> None:
        """Nothing: the invite is the event."""

    async def event(self, place: Place) -> None:
        await self.enter(place)

    async def done(self, place: Place) -> None:
        await place.greeted()


class Held(Kind):
    """A message that is to wait for an agent."""

    owns = ("turn.*", "commit.*")
    bot: ClassVar[dict[str, Any]] = {"agents": 2}

    async def event(self, place: Place) -> None:
        self.is_forgotten = False
        await place.say("hello?", WHICH_AGENT)

    def died(self, place: Place) -> None:
        self.is_forgotten = place.has_committed(place.said[0])

    async def go_on(self, place: Place) -> None:
        if not self.is_forgotten:
            place.said[0].is_to_get(WHICH_AGENT, echo(r"hello\?"))
        await place.ask("!agent 1", SELECTED)
        await super().go_on(place)
        await place.answered()


class PassedOn(Kind):
    """The choice of an agent, for which a message waits."""

    owns = ("turn.commit.after", "answer.commit.*")
    bot: ClassVar[dict[str, Any]] = {"agents": 2}

    async def prepare(self, place: Place) -> None:
        await super().prepare(place)
        await place.ask("hello?", WHICH_AGENT)

    async def event(self, place: Place) -> None:
        place.said[0].is_to_get(WHICH_AGENT, echo(r"hello\?"))
        await place.say("!agent 1", SELECTED)

    def died(self, place: Place) -> None:
        if not place.has_committed(place.said[-1]):
            place.said[0].is_to_get(WHICH_AGENT)


class Onboarding(Kind):
    """An invite that is followed by a Space and a first chat in it."""

    owns: ClassVar[tuple[str, ...]] = (
        "room.create.*",
        "delivery.made",
        "delivery.invite.*",
        "delivery.state.*",
    )
    bot: ClassVar[dict[str, Any]] = {"rooms": {"onboarding": "space"}}
    rooms: ClassVar[int] = 2
    ready = "“Chat 1” is ready"

    async def prepare(self, place: Place) -> None:
        """Nothing: the invite is the event."""

    async def event(self, place: Place) -> None:
        place.greetings = 2
        await self.enter(place)

    async def done(self, place: Place) -> None:
        await place.greeted()
        await place.person.sees(place.room, self.ready)
        async with asyncio.timeout(HANGS_SECONDS):
            while len(await place.person.invites()) < self.rooms:
                await asyncio.sleep(0.05)

    async def verdict(self, place: Place) -> None:
        await place.verdict()
        await self._one_room_of_each(place)

    async def _one_room_of_each(self, place: Place) -> None:
        """One Space, one room of each number, all of them linked, and the chats alive."""
        person, bot = place.person, place.bot
        user = bot.store.get(f"matrix_user:{person.user_id}")
        rows = bot.store.rows("SELECT value FROM kv WHERE key GLOB ?", f"chat:{person.user_id}:*")
        chats = {record["chat_id"]: record for record in map(json.loads, (v for (v,) in rows))}
        numbers = range(1, user["next_chat_index"])
        assert sorted(chats) == [f"C{n}" for n in numbers]
        invited = set(await person.invites())
        made = {c["room_id"] for c in chats.values()} - {place.room} | {user["space_id"]}
        assert invited == made, (invited, made)
        for room in sorted(invited, key=lambda room: room != user["space_id"]):
            await person.join(room)
        for record in chats.values():
            child = await person.state(user["space_id"], "m.space.child", record["room_id"])
            assert child["via"]
        for room in made - {user["space_id"]}:
            await person.asks(room, "hi", echo("hi"))
            said = [e.body for e in await person.timeline(room) if e.sender == bot.user_id]
            assert len(said) == 2, said  # the welcome and the answer


class NewChat(Onboarding):
    """A further chat of one who has a Space."""

    owns = ("turn.commit.*", "room.create.after", "delivery.made")
    rooms = 3
    ready = "“Tides” is ready"

    async def prepare(self, place: Place) -> None:
        place.greetings = 3
        await self.enter(place)
        await place.greeted()
        await place.person.sees(place.room, Onboarding.ready)

    async def event(self, place: Place) -> None:
        await place.say("!new Tides")  # answered by a reaction, and in time by the room


class HalfMade(Kind):
    """A start that is to make a room of which the homeserver has made only half."""

    owns = ("room.found", "room.freed", "delivery.leave.after")
    least = 0
    is_start = True

    async def event(self, place: Place) -> None:
        wish = NewRoom(
            user_id=place.person.user_id,
            asked_in=place.room,
            purpose="chat:C9",
            name="Nobody's",
        )
        [(secret,)] = place.bot.store.rows("SELECT value FROM meta WHERE name = 'secret'")
        alias = alias_of(wish, place.bot.user_id, secret)
        localpart = alias.partition(":")[0].removeprefix("#")
        self.rooms = await place.setup.joined_by(place.bot)
        self.rooms.add(await place.setup.half_make(place.bot, localpart))
        execute(
            place.bot,
            "INSERT INTO outbox (transaction_id, room_id, kind, payload, created_at_ms)"
            " VALUES ('wish', 'rooms of somebody', 'create', ?, 1)",
            json.dumps(asdict(wish)),
        )

    async def done(self, place: Place) -> None:
        async with asyncio.timeout(HANGS_SECONDS):
            while place.bot.store.rows("SELECT 1 FROM outbox"):
                await asyncio.sleep(0.05)

    async def verdict(self, place: Place) -> None:
        """Nobody waits for the room any more, so the bot has left it."""
        await place.verdict()
        assert await place.setup.joined_by(place.bot) == self.rooms


class Replaced(Bound):
    """A second question, for which the first is edited."""

    owns = ("delivery.edit.*",)
    least = 0

    async def prepare(self, place: Place) -> None:
        await super().prepare(place)
        await place.ask("!archive", "Archive “")

    async def event(self, place: Place) -> None:
        await place.say("!archive", "Archive “")


class Deadline(Kind):
    """The end of a durable state's time, in a flow of an author's."""

    owns = ("turn.commit.*", "delivery.send.*")
    bot: ClassVar[dict[str, Any]] = {"flows": [rota.PATH]}

    async def new_bot(self, setup: Setup) -> Bot:
        bot = await super().new_bot(setup)
        rota.put_beside(bot.directory)
        return bot

    async def prepare(self, place: Place) -> None:
        await super().prepare(place)
        await place.ask("!oncall", "You are on call")

    async def event(self, place: Place) -> None:
        place.greetings += 1  # what is said at the end answers no message
        await place.bot.advance(hours(8))

    async def done(self, place: Place) -> None:
        await place.person.sees(place.room, "The time of .* is up")

    async def go_on(self, place: Place) -> None:
        await place.ask("who is on call?", echo(r"who is on call\?"))
        await super().go_on(place)


class StagedFile(Bound):
    """A text for which a file waits."""

    owns = ("turn.commit.*", "agent.*")
    with_file = r"question\n\n\(1 file: a\.txt text/plain 1 kB\)"

    async def prepare(self, place: Place) -> None:
        await super().prepare(place)
        file = await place.person.send_file(place.room, "a.txt", b"sand")
        place.said.append(Said(file, "a.txt", ()))
        async with asyncio.timeout(HANGS_SECONDS):
            while not await place.person.reactions(place.room, file):
                await asyncio.sleep(0.05)

    async def event(self, place: Place) -> None:
        await place.say("question", echo(self.with_file))

    def died(self, place: Place) -> None:
        """Files wait in memory, until their question is on its way."""
        question = place.said[-1]
        statement = "SELECT 1 FROM asked WHERE event_id = ?"
        is_kept = place.bot.store.rows(statement, question.event_id) or place.has_committed(
            question
        )
        question.is_to_get(echo(self.with_file) if is_kept else echo("question"))


class Encrypted(Bound):
    owns = ("sync.keys.stored", "delivery.send.*")
    is_encrypted = True

    async def event(self, place: Place) -> None:
        await place.say("question", echo("question"))


class Start(Bound):
    """A start that finds a message waiting."""

    owns = ("sync.received", "turn.commit.after")
    least = 0
    is_start = True

    async def event(self, place: Place) -> None:
        await place.say("question", echo("question"))


class LoggedOut(Bound):
    """A start that finds its session revoked, and a message waiting."""

    owns = ("session.login.*", "keys.upload.*")
    least = 0
    is_start = True

    async def event(self, place: Place) -> None:
        await place.say("question", echo("question"))
        await place.setup.log_out(place.bot)


class FirstStart(Kind):
    """The first start of a new bot, which finds an invite."""

    owns = ("session.login.*", "migration.*", "keys.upload.*")
    is_start = True
    has_bots_of_its_own = True

    async def prepare(self, place: Place) -> None:
        """Nothing: the bot has never run."""

    async def event(self, place: Place) -> None:
        await self.enter(place)

    async def done(self, place: Place) -> None:
        await place.greeted()


class Gap(Bound):
    """A start that finds more events in a room than a sync response holds."""

    owns = ("gap.page.*",)
    least = 0
    is_start = True

    async def event(self, place: Place) -> None:
        for number in range(6):
            await place.say(f"m{number}", echo(f"m{number}"))
            if number in (1, 3):
                await asyncio.gather(*(self._nothing(place) for _ in range(60)))

    async def _nothing(self, place: Place) -> None:
        await place.person.send(place.room, "org.example.nothing", {})


class Declined(Kind):
    """An invite from somebody who is not allowed."""

    owns = ("delivery.leave.*",)
    least = 0
    bot: ClassVar[dict[str, Any]] = {"access": {"users": ["@alice*:*"]}}

    async def event(self, place: Place) -> None:
        self.bob = await place.setup.person("bob")
        self.room = await self.bob.create_room(invite=[place.bot.user_id])

    async def done(self, place: Place) -> None:
        async with asyncio.timeout(HANGS_SECONDS):
            while await self.bob.membership(self.room, place.bot.user_id) != "leave":
                await asyncio.sleep(0.05)

    async def verdict(self, place: Place) -> None:
        await place.verdict()
        assert await self.bob.timeline(self.room) == []


class Kicked(Bound):
    """An answer for a room that the bot was thrown out of meanwhile: its row is set aside."""

    owns = ("outbox.park.*", "delivery.parked")
    least = 0
    bot: ClassVar[dict[str, Any]] = {"options": {"delay_seconds": 0.5}}

    async def event(self, place: Place) -> None:
        await place.say("question", other=(echo("question"),))
        await place.person.kick(place.room, place.bot.user_id)

    async def done(self, place: Place) -> None:
        async with asyncio.timeout(HANGS_SECONDS):
            while not self.parked(place):
                await asyncio.sleep(0.05)

    async def done_again(self, place: Place) -> None:
        """A bot that died before it had read the question never learns of it, and owes nothing."""
        with suppress(TimeoutError):
            async with asyncio.timeout(3):
                await self.done(place)

    async def go_on(self, place: Place) -> None:
        place.greetings += 1
        await place.person.invite(place.room, place.bot.user_id)
        await place.person.sees(place.room, "This room is bound to", after=place.said[-1].event_id)
        await super().go_on(place)

    async def verdict(self, place: Place) -> None:
        await place.verdict()
        assert len(self.parked(place)) <= 1

    def parked(self, place: Place) -> list[tuple[Any, ...]]:
        statement = "SELECT 1 FROM outbox WHERE room_id = ? AND parked_error IS NOT NULL"
        return place.bot.store.rows(statement, place.room)


class Poison(Kind):
    """A message whose turn fails every time: its event is set aside."""

    owns = ("park.*", "event.park.*")
    least = 0

    async def event(self, place: Place) -> None:
        execute(
            place.bot,
            "CREATE TRIGGER poison BEFORE INSERT ON kv"
            f" WHEN NEW.key = 'matrix_room:{place.room}' BEGIN"
            " SELECT raise(ABORT, 'poison'); END",
        )
        await place.say(
            "question", "I couldn't process this message because of an error on my side"
        )

    async def go_on(self, place: Place) -> None:
        execute(place.bot, "DROP TRIGGER poison")
        await super().go_on(place)

    async def verdict(self, place: Place) -> None:
        await place.verdict()
        parked = place.bot.store.rows("SELECT event_id FROM parked WHERE room_id = ?", place.room)
        assert parked == [(place.said[0].event_id,)]


KINDS: dict[str, Kind] = {
    "message": Message(),
    "first message": FirstMessage(),
    "select": Select(),
    "yes": Yes(),
    "rename": Rename(),
    "load": Load(),
    "forget": Forget(),
    "streaming": Streaming(),
    "invite": Invite(),
    "held": Held(),
    "passed on": PassedOn(),
    "onboarding": Onboarding(),
    "new chat": NewChat(),
    "half made": HalfMade(),
    "replaced": Replaced(),
    "deadline": Deadline(),
    "staged file": StagedFile(),
    "encrypted": Encrypted(),
    "start": Start(),
    "logged out": LoggedOut(),
    "first start": FirstStart(),
    "gap": Gap(),
    "declined": Declined(),
    "kicked": Kicked(),
    "poison": Poison(),
}
