"""People in rooms who talk to the bot, each at their own pace, all drawn from one seed."""

import asyncio
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from random import Random

from attrs import define, field

from benchmarks.soak.settings import Settings
from benchmarks.soak.talkers import Reader, Talker
from fsm.ids import RoomId, UserId
from strandline.testing import Synapse

ENCRYPTED_OF = 3
"""Every third person encrypts."""

SAYINGS = {"text": 70, "status": 6, "agent": 4, "agents": 4, "nonsense": 4, "archive": 6, "no": 3}


@define
class Place:
    """A room, who talks in it, and whether its chat is (or may be) archived."""

    room_id: RoomId
    talkers: list[Talker]
    closed: bool = False


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

    def readers(self) -> list[Reader]:
        return [Reader(place.talkers[0], place.room_id) for place in self.places]

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
        if draw.random() < 0.01 and len(self.places) < self.settings.most_rooms:
            await self._open(talker, draw)
        mine = [place for place in self.places if talker in place.talkers]
        living = [place for place in mine if not place.closed]
        if not living:
            await self._open(talker, draw)
            living = [self.places[-1]]
        # an archived room still answers, with a sentence of its own
        place = draw.choice(mine if draw.random() < 0.05 else living)
        kind = "text"
        if self.settings.mixed:
            kind = draw.choices(list(SAYINGS), list(SAYINGS.values()))[0]
        if kind == "archive":
            await self._archive(talker, place, draw)
        else:
            await self._say(talker, place, self._words(kind, draw))

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
        has_room = len(self.places) < self.settings.most_rooms
        living = [p for p in self.places if talker in p.talkers and not p.closed]
        return has_room or len(living) > 1

    def _words(self, kind: str, draw: Random) -> str:
        number = next(self._numbers)
        match kind:
            case "text":
                return f"m{number} {'lorem ipsum ' * draw.randrange(1, 4)}".strip()
            case "agent":
                return f"!agent {draw.choice([1, 2])}"
            case _:
                return f"!{kind} {number}"

    async def _say(self, talker: Talker, place: Place, text: str) -> None:
        await talker.say(place.room_id, text)
        self.said += 1

    async def _open(self, talker: Talker, draw: Random) -> None:
        place = Place(await talker.new_room([self.bot]), [talker])
        second = draw.choice(self.talkers)
        shares = self.settings.mixed and second is not talker and draw.random() < 0.3
        if shares and not talker.encrypting and not second.encrypting:
            await talker.invite(place.room_id, second.user_id)
            await second.join(place.room_id)
            place.talkers.append(second)
        self.places.append(place)
