"""People in rooms who talk to the bot, each at their own pace, all drawn from one seed."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from random import Random

from attrs import define, evolve, field, frozen

from benchmarks.soak.settings import Settings
from benchmarks.soak.talkers import Reader, Talker
from benchmarks.soak.verdict import Amended
from fsm.values.ids import EventId, RoomId, UserId
from strandline.testing import Synapse

ENCRYPTED_OF = 3
"""Every third person encrypts."""

SAYINGS = {
    "text": 70,
    "edit": 6,
    "redact": 4,
    "status": 6,
    "agent": 4,
    "agents": 4,
    "nonsense": 4,
    "archive": 6,
    "no": 3,
    "new": 1,
    "leave": 1,
}

AT_LEAST_ONCE = ("edit", "redact", "new", "leave")
"""What the first to act do, so that a short run has it too."""

BURST = 110, 130
"""So many messages are a burst: more than a sync response holds, and than may wait in a room."""

EDITED, REDACTED = 12, 6
"""So many of a burst are edited, and taken back, with the bot down."""


@define(eq=False)
class Place:
    """A room.

    Args:
        talkers: Who talks in it.
        closed: Its chat is (or may be) archived.
        made: The bot made it.
        gone: Who has left it.
        busy: Somebody sends a burst to it: they stay for so long.
    """

    room_id: RoomId
    talkers: list[Talker]
    closed: bool = False
    made: bool = False
    gone: list[Talker] = field(factory=list)
    busy: bool = False

    def enter(self, talker: Talker) -> None:
        """They talk in it, if they did not before."""
        if talker not in self.talkers:
            self.talkers.append(talker)


@frozen
class Burst:
    """Many messages that one person has sent to one room."""

    talker: Talker
    place: Place
    said: tuple[EventId, ...]


@define(eq=False)
class Town:
    """Everybody who talks.

    Args:
        bot: Whom they talk to.
    """

    settings: Settings
    synapse: Synapse
    bot: UserId
    directory: Path
    stack: AsyncExitStack
    places: list[Place] = field(factory=list)
    talkers: list[Talker] = field(factory=list)
    said: int = 0
    acts: Counter[str] = field(factory=Counter)
    amended: dict[EventId, Amended] = field(factory=dict)
    _texts: dict[EventId, str] = field(factory=dict)
    _open_amendments: dict[EventId, int] = field(factory=dict)
    _first: deque[str] = field(factory=lambda: deque(AT_LEAST_ONCE))
    _numbers: "count[int]" = field(factory=lambda: count(1))

    async def settle(self) -> None:
        """People arrive and open their rooms; each selects an agent, so that no message waits."""
        draw = Random(self.settings.seed)
        for number in range(self.settings.people):
            encrypted = self.settings.mixed and number % ENCRYPTED_OF == ENCRYPTED_OF - 1
            talker = await Talker.arrive(
                self.synapse.url,
                self.synapse.register(f"person{number}"),
                encrypted=encrypted,
                directory=self.directory / f"person{number}",
            )
            self.stack.push_async_callback(talker.close)
            self.talkers.append(talker)
        for number in range(max(self.settings.rooms, self.settings.people)):
            await self._open(self.talkers[number % self.settings.people], draw)
        if self.settings.mixed and self.settings.onboarding == "space":
            for talker in self.talkers:
                while not await self._accept(talker):
                    await asyncio.sleep(0.1)

    async def choose_agents(self) -> None:
        """Everybody selects an agent and waits until it is acknowledged."""
        if not self.settings.mixed:
            return
        for number, place in enumerate(self.places[: self.settings.people]):
            talker = place.talkers[0]
            await self._say(talker, place, f"!agent {number % 2 + 1}")
            await self._is_answered(talker, place.room_id)

    async def talk(self, until: asyncio.Event) -> None:
        """Everybody talks until it is over."""
        async with asyncio.TaskGroup() as group:
            for number, talker in enumerate(self.talkers):
                draw = Random(f"{self.settings.seed} {number}")
                group.create_task(self._talk(talker, draw, until))

    def readers(self, bot: Talker) -> list[Reader]:
        """One for each place: who talks there, or the bot, which was there throughout."""
        return [Reader(bot if p.made or p.gone else p.talkers[0], p.room_id) for p in self.places]

    async def accept_all(self) -> None:
        """Everybody enters what the bot has made for them."""
        if self.settings.mixed:
            for talker in self.talkers:
                await self._accept(talker)

    def gone(self, room_id: str) -> frozenset[str]:
        """Who has left the room."""
        place = self._place(room_id)
        return frozenset(talker.user_id for talker in place.gone) if place else frozenset()

    async def burst(self, draw: Random) -> Burst:
        """Send more than a hundred messages to one room, as fast as the homeserver takes them."""
        place = draw.choice([p for p in self.places if p.talkers and not p.closed and not p.busy])
        talker, place.busy = draw.choice(place.talkers), True
        texts = [self._words("text", draw) for _ in range(draw.randint(*BURST))]
        at_a_time = asyncio.Semaphore(8)

        async def say(text: str) -> EventId:
            async with at_a_time:
                return await self._say(talker, place, text)

        said = await asyncio.gather(*map(say, texts))
        place.busy = False
        self.acts["burst"] += 1
        return Burst(talker, place, tuple(said))

    async def amend(self, burst: Burst, handled: set[EventId], draw: Random) -> set[EventId]:
        """Edit some of what is not handled, some of it twice, and take some back; which."""
        waiting = [event_id for event_id in burst.said if event_id not in handled]
        if not waiting:
            return set()
        for event_id in draw.choices(waiting, k=EDITED):
            await self._edit(burst.talker, burst.place, event_id, draw)
        gone = draw.sample(waiting, min(REDACTED, len(waiting)))
        for event_id in gone:
            await self._redact(burst.talker, burst.place, event_id)
        self.acts["amended in a burst"] += 1
        return set(gone)

    def settle_amendments(self, handled: Callable[[Iterable[EventId]], set[EventId]]) -> None:
        """Note which messages had been amended when the bot, down now, had not handled them."""
        if not self._open_amendments:
            return
        waiting = self._open_amendments.keys() - handled(self._open_amendments)
        for event_id in waiting:
            ceased = self._open_amendments[event_id]
            self.amended[event_id] = evolve(self.amended[event_id], ceased=ceased)
        self._open_amendments.clear()
        self.acts["amended before it was handled"] += len(waiting)

    async def _is_answered(self, talker: Talker, room_id: RoomId) -> None:
        reader = Reader(talker, room_id)
        while not any(
            e["sender"] == self.bot and "m.in_reply_to" in str(e["content"])
            for e in await reader.read()
        ):
            await asyncio.sleep(0.1)

    async def _talk(self, talker: Talker, draw: Random, until: asyncio.Event) -> None:
        pause = self.settings.people / self.settings.rate
        while not until.is_set():
            try:
                async with asyncio.timeout(draw.expovariate(1 / pause)):
                    await until.wait()
            except TimeoutError:
                await self._act(talker, draw)

    async def _act(self, talker: Talker, draw: Random) -> None:
        if draw.random() < 0.01 and self._has_room():
            await self._open(talker, draw)
        if self.settings.mixed and draw.random() < 0.03:
            await self._accept(talker)
        mine = [place for place in self.places if talker in place.talkers]
        living = [place for place in mine if not place.closed]
        if not living:
            living = [await self._open(talker, draw)]
        # an archived room still answers, with a sentence of its own
        place = draw.choice(mine if draw.random() < 0.05 else living)
        kind = self._kind(draw) if self.settings.mixed else "text"
        self.acts[kind] += 1
        match kind:
            case "archive":
                await self._archive(talker, place, draw)
            case "edit" | "redact":
                event_id = await self._say(talker, place, self._words("text", draw))
                await asyncio.sleep(draw.choice([0, 0.1, 0.5, 2]))
                if kind == "edit":
                    await self._edit(talker, place, event_id, draw)
                else:
                    await self._redact(talker, place, event_id)
            case "leave":
                await self._leave(talker, draw)
            case _:
                await self._say(talker, place, self._words(kind, draw))

    def _kind(self, draw: Random) -> str:
        kind = draw.choices(list(SAYINGS), list(SAYINGS.values()))[0]
        if self._first:
            kind = self._first.popleft()
        return "text" if kind == "new" and not self._has_room() else kind

    async def _edit(self, talker: Talker, place: Place, event_id: EventId, draw: Random) -> None:
        text = self._words("text", draw)
        amended = self.amended.get(event_id) or Amended((self._texts[event_id],))
        self.amended[event_id] = evolve(amended, texts=(*amended.texts, text))
        await talker.edit(place.room_id, event_id, text)
        self._open_amendments[event_id] = len(self.amended[event_id].texts) - 1

    async def _redact(self, talker: Talker, place: Place, event_id: EventId) -> None:
        amended = self.amended.get(event_id) or Amended((self._texts[event_id],))
        self.amended[event_id] = amended
        await talker.redact(place.room_id, event_id)
        self._open_amendments[event_id] = len(amended.texts)

    async def _accept(self, talker: Talker) -> bool:
        """Enter the rooms that the bot has made; whether there was a chat among them."""
        entered = await talker.accept()
        for room_id in entered:
            place = self._place(room_id)
            if place is None:
                place = Place(room_id, [], made=True)
                self.places.append(place)
                self.acts["made"] += 1
            elif talker in place.gone:  # the bot invites people again who have left everything
                place.gone.remove(talker)
                self.acts["back"] += 1
            place.enter(talker)
        return bool(entered)

    def _place(self, room_id: str) -> Place | None:
        return next((place for place in self.places if place.room_id == room_id), None)

    async def _leave(self, talker: Talker, draw: Random) -> None:
        """Ask something in a room that the bot made, or that is shared, and go."""
        mine = [place for place in self.places if talker in place.talkers]
        left = [p for p in mine if (p.made or len(p.talkers) > 1) and not p.busy]
        if not left or len(mine) == 1:
            return
        place = draw.choice(left)
        place.talkers.remove(talker)
        await self._say(talker, place, self._words("text", draw))
        await asyncio.sleep(draw.choice([0, 0.1, 1]))
        await talker.leave(place.room_id)
        place.gone.append(talker)
        self.acts["left"] += 1

    async def _archive(self, talker: Talker, place: Place, draw: Random) -> None:
        await self._say(talker, place, self._words("archive", draw))
        await asyncio.sleep(draw.choice([0, 0.5, 2]))
        answer = draw.choice(["yes", "no", "no"])
        if answer == "yes" and self._may_close(talker):
            place.closed = True
        elif answer == "yes":
            answer = "no"
        await self._say(talker, place, self._words(answer, draw))

    def _may_close(self, talker: Talker) -> bool:
        living = [p for p in self.places if talker in p.talkers and not p.closed]
        return self._has_room() or len(living) > 1

    def _has_room(self) -> bool:
        return len(self.places) < self.settings.most_rooms

    def _words(self, kind: str, draw: Random) -> str:
        number = next(self._numbers)
        match kind:
            case "text":
                return f"m{number} {'lorem ipsum ' * draw.randrange(1, 4)}".strip()
            case "agent":
                return f"!agent {draw.choice([1, 2])}"
            case "new":
                return f"!new Chat m{number}"
            case _:
                return f"!{kind} {number}"

    async def _say(self, talker: Talker, place: Place, text: str) -> EventId:
        event_id = await talker.say(place.room_id, text)
        self._texts[event_id] = text
        self.said += 1
        return event_id

    async def _open(self, talker: Talker, draw: Random) -> Place:
        place = Place(await talker.new_room([self.bot]), [talker])
        self.places.append(place)
        second = draw.choice(self.talkers)
        shares = self.settings.mixed and second is not talker and draw.random() < 0.3
        if shares and not talker.encrypting and not second.encrypting:
            await talker.invite(place.room_id, second.user_id)
            await second.join(place.room_id)
            place.enter(second)
        return place
