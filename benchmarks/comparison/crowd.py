"""People who fill in the form again and again while somebody kills the bot."""

import asyncio
import random
import re
import statistics
import time
from collections import Counter
from enum import Enum
from pathlib import Path

from attrs import define, field, frozen

from benchmarks.comparison.bots import Killable
from benchmarks.comparison.shores import Shore

PATIENCE_SECONDS = 6.0
"""How long the bot must run without a word until a person repeats what they have said."""

MOST_TRIES = 5
"""How often somebody says the same thing before they give up the form."""

MOST_STARTS = 4
"""How often a bot is started before an operator puts its data aside."""

QUIET_SECONDS = 10.0
START_SECONDS = 180.0


class Said(Enum):
    """What a bot's message is, to who reads it."""

    NAME = r"What is your name\?"
    AGE = r"How old are you\?"
    AGE_AGAIN = r"whole number from 1 to 150"
    SEND = r"Send it\? \(yes/no\)"
    STORED = r"Stored as no\. \d+"
    UNCLEAR = r"answer yes or no"
    NONE_OPEN = r"No form is open"
    OTHER = r""


class Step(Enum):
    """What a person says, and the answer that belongs to it."""

    FORM = Said.NAME
    GIVE_NAME = Said.AGE
    GIVE_NO_AGE = Said.AGE_AGAIN
    GIVE_AGE = Said.SEND
    YES = Said.STORED
    LIST = Said.OTHER


AFTER = {
    Said.NAME: Step.GIVE_NAME,
    Said.AGE: Step.GIVE_AGE,
    Said.AGE_AGAIN: Step.GIVE_AGE,
    Said.SEND: Step.YES,
    Said.UNCLEAR: Step.YES,
    Said.NONE_OPEN: Step.FORM,
    Said.OTHER: Step.FORM,
}
"""What a person says next who has read this."""

HALFWAY = {Step.GIVE_NO_AGE, Step.GIVE_AGE, Step.YES}
"""Who is at one of these has typed something already."""


@frozen
class Entry:
    """One form as its author means it."""

    name: str
    age: int


@define
class Tally:
    """What was seen.

    Args:
        messages: What people have said.
        unanswered: What was never answered, so that its author said it again.
        confused: Answers that belong to another question than the one that was answered.
        extra: Messages of the bot's that came on top of an answer.
        confirmed: Submissions that the bot said it had stored.
        lost: Of these, those that were not there in the end.
        twice: Submissions that are there twice.
        wrong: Entries with other answers than their authors gave for them.
        silent: Submissions that were stored without their author being told.
        halfway: Forms that were half filled in when the bot was killed.
        kept: Of these, those that went on where they were.
        told: Of these, those whose author was told in one sentence to begin anew.
        stuck: Forms that somebody gave up.
        no_start: Starts that failed, because the bot could not read what it had written.
    """

    kills: int = 0
    messages: int = 0
    unanswered: int = 0
    confused: int = 0
    extra: int = 0
    confirmed: int = 0
    lost: int = 0
    twice: int = 0
    wrong: int = 0
    silent: int = 0
    halfway: int = 0
    kept: int = 0
    told: int = 0
    stuck: int = 0
    no_start: int = 0
    median_ms: float = 0.0
    notes: list[str] = field(factory=list)


@define
class Guest:
    """One person."""

    chat: int
    rng: random.Random
    started: list[Entry] = field(factory=list)
    confirmed: list[Entry] = field(factory=list)
    step: Step | None = None
    was_cut: bool = False


class Town:
    """Some people, one bot, and a number of kills.

    Args:
        bot: The bot's process.
        shore: Where they meet.
        seed: The same for every bot: the same forms and the same plan of kills.
        state: The file of the bot's state, to be put aside if the bot can't start with it.
    """

    def __init__(
        self, bot: Killable, shore: Shore, *, seed: int, people: int, state: Path | None = None
    ) -> None:
        self._bot = bot
        self._shore = shore
        self._state = state
        self._plan = random.Random(seed)
        self._guests = [Guest(n, random.Random(f"{seed}.{n}")) for n in range(people)]
        self._is_up = False
        self._over = False
        self._aim: Step | None = None
        self._hit = asyncio.Event()
        self._took: list[float] = []
        self.tally = Tally()

    async def run(self, kills: int) -> Tally:
        """Let them talk, kill the bot so often, and see what is there in the end."""
        try:
            await self._start()
            await self._shore.open()
            await self._quiet()
            await asyncio.gather(*(self._fill(guest) for guest in self._guests))
            self.tally.median_ms = 1000 * statistics.median(self._took)
            talking = [asyncio.create_task(self._talk(guest)) for guest in self._guests]
            for number in range(kills):
                await self._kill(number)
                await self._start()
            self._over = True
            await asyncio.gather(*talking)
            await self._stop()
            await self._start()
            await asyncio.gather(*(self._look(guest) for guest in self._guests))
        finally:
            self._bot.end()
            await self._shore.close()
        return self.tally

    async def _quiet(self) -> None:
        """Wait until the bot has said what it says when it comes into a room."""
        count, since = -1, time.monotonic()
        while time.monotonic() - since < QUIET_SECONDS:
            now = sum(len(self._shore.heard(guest.chat)) for guest in self._guests)
            if now != count:
                count, since = now, time.monotonic()
            await asyncio.sleep(0.1)

    async def _start(self) -> None:
        self._bot.launch()
        until, starts = time.monotonic() + START_SECONDS, 1
        while not self._bot.is_ready():
            if self._bot.exit_code() is not None and self._state is not None:
                starts += 1
                if starts == MOST_STARTS:  # so it is not the network
                    self.tally.no_start += 1
                    self._state.rename(self._state.with_suffix(f".broken{self.tally.no_start}"))
                self._bot.launch()
            assert time.monotonic() < until, "the bot does not start"
            await asyncio.sleep(0.02)
        self._is_up = True

    async def _stop(self) -> None:
        self._is_up = False
        self._bot.end()

    async def _kill(self, number: int) -> None:
        """In turn: at an instant, and while a message of a certain step is being answered."""
        at, step = self._plan.random(), (Step.FORM, Step.GIVE_NAME, Step.GIVE_AGE, Step.YES)
        if number % 2:
            self._aim = step[number // 2 % len(step)]
            self._hit.clear()
            await self._hit.wait()
            await asyncio.sleep(at * 1.2 * self.tally.median_ms / 1000)
        else:
            await asyncio.sleep(0.3 + 2 * at)
        await self._stop()
        self.tally.kills += 1
        for guest in self._guests:
            if guest.step in HALFWAY and not guest.was_cut:
                guest.was_cut = True
                self.tally.halfway += 1

    async def _talk(self, guest: Guest) -> None:
        while not self._over:
            await self._fill(guest)

    async def _fill(self, guest: Guest) -> None:
        """Fill in one form, whatever it takes."""
        entry = Entry(f"P{guest.chat}N{len(guest.started)}", guest.rng.randrange(1, 151))
        slips = guest.rng.random() < 0.25
        guest.started.append(entry)
        guest.step, guest.was_cut, tries = Step.FORM, False, 0
        while tries < MOST_TRIES and guest.step is not None:
            step = guest.step
            if step is Step.GIVE_AGE and slips:
                step, slips = Step.GIVE_NO_AGE, False
            was_cut = guest.was_cut
            said = await self._exchange(guest, step, entry)
            tries = tries + 1 if said is None else 0
            if said is not None:
                self._note(guest, step, said, was_cut=was_cut)
                guest.step = await self._after(guest, step, _read(said), entry)
        if guest.step is not None:
            self.tally.stuck += 1
            guest.step = None

    async def _after(self, guest: Guest, step: Step, said: Said, entry: Entry) -> Step | None:
        if said is Said.STORED:
            guest.confirmed.append(entry)
            self.tally.confirmed += 1
            return None
        is_in_doubt = said is Said.NONE_OPEN and step is Step.YES
        if is_in_doubt and entry in _listed(await self._list(guest)):
            self.tally.silent += 1
            return None
        return AFTER[said]

    def _note(self, guest: Guest, step: Step, text: str, *, was_cut: bool) -> None:
        said = _read(text)
        is_right = said is step.value
        if not is_right and said is not Said.NONE_OPEN:
            self.tally.confused += 1
            self.tally.notes.append(f"{step.name} was answered by {text!r}")
        if not guest.was_cut:
            return
        is_told, is_stored = said is Said.NONE_OPEN, said is Said.STORED
        if was_cut or is_told or is_stored:  # else the answer may be one from before the kill
            guest.was_cut = False
            self.tally.kept += is_right
            self.tally.told += is_told

    async def _exchange(self, guest: Guest, step: Step, entry: Entry) -> str | None:
        """Say it, and wait for an answer; None if there is none."""
        before = len(self._shore.heard(guest.chat))
        await self._shore.say(guest.chat, self._words(step, entry))
        begun = time.monotonic()
        if self._aim is step:
            self._aim = None
            self._hit.set()
        self.tally.messages += 1
        waited = 0.0
        while len(self._shore.heard(guest.chat)) == before:
            await asyncio.sleep(0.02)
            waited += 0.02 if self._is_up else 0
            if waited > PATIENCE_SECONDS:
                self.tally.unanswered += 1
                return None
        self._took.append(time.monotonic() - begun)
        await asyncio.sleep(guest.rng.uniform(0.05, 0.4))  # reading, and thinking
        news = self._shore.heard(guest.chat)[before:]
        self.tally.extra += len(news) - 1
        return news[-1]

    async def _list(self, guest: Guest) -> str:
        said = None
        for _ in range(MOST_TRIES):
            said = said or await self._exchange(guest, Step.LIST, Entry("", 0))
        return said or ""

    def _words(self, step: Step, entry: Entry) -> str:
        match step:
            case Step.FORM:
                return f"{self._shore.prefix}form"
            case Step.GIVE_NAME:
                return entry.name
            case Step.GIVE_NO_AGE:
                return "soon older"
            case Step.GIVE_AGE:
                return str(entry.age)
            case Step.YES:
                return "yes"
            case Step.LIST:
                return f"{self._shore.prefix}submitted"

    async def _look(self, guest: Guest) -> None:
        """What is there, and what should be."""
        found = Counter(_listed(await self._list(guest)))
        meant = set(guest.started)
        missing = sum(entry not in found for entry in guest.confirmed)
        again = sum(count - 1 for entry, count in found.items() if entry in meant)
        strange = sum(count for entry, count in found.items() if entry not in meant)
        instead = min(again, max(0, missing - strange))  # an earlier form's answers, stored for it
        self.tally.wrong += strange + instead
        self.tally.twice += again - instead
        self.tally.lost += max(0, missing - strange - instead)


def _read(text: str) -> Said:
    return next(said for said in Said if re.search(said.value, text))


def _listed(text: str) -> list[Entry]:
    return [Entry(name, int(age)) for name, age in re.findall(r"\d+: (\S+) \((\d+)\)", text)]
