"""Flows of authors: one that is as it should be, and some that are broken by a restart."""

from typing import Any

from attrs import frozen

from strandline import (
    ANY,
    STAY,
    Event,
    Flow,
    Scope,
    State,
    Turn,
    durable,
    ephemeral,
    hours,
    minutes,
    on,
)


@frozen
class Entry:
    name: str
    age: int


@frozen
class Named:
    name: str


class Form(Flow):
    """Two questions, of which the second is forgotten half-way; what is submitted is kept."""

    scope = Scope.MEMBER

    idle = State(initial=True)
    asking_name = State(ephemeral, expires=minutes(10))
    asking_age = State(ephemeral, memory=Named, expires=minutes(5))
    submitted = State(durable, record=Entry, expires=hours(48))

    begin = Event((idle, submitted), asking_name, command="form")
    name_given = Event(asking_name, asking_age, text=r"[A-Z]\w+")
    misnamed = Event(asking_name, STAY, text=True)

    age_given = Event(asking_age, submitted, text=True)
    misaged = Event(asking_age, STAY, text=True)
    show = Event(submitted, STAY, command="show")
    withdraw = Event(submitted, idle, command="withdraw")
    too_late = Event(asking_age, asking_name, on_expiry=True)

    @age_given.guard
    def is_age(self, turn: Turn) -> bool:
        """The text is an age."""
        return turn.argument.strip().isdigit()

    @on(begin)
    def ask_name(self, turn: Turn, _data: Entry | None) -> None:
        """The first question."""
        turn.reply("What is your name?")

    @on(name_given)
    def ask_age(self, turn: Turn, _data: None) -> Named:
        """The second."""
        turn.reply("How old are you?")
        return Named(turn.argument)

    @on(misnamed, misaged)
    def ask_again(self, turn: Turn, _data: Named | None) -> None:
        """It was no answer."""
        turn.reply("Please try again.")

    @on(age_given)
    def submit(self, turn: Turn, named: Named) -> Entry:
        """Both are known."""
        turn.reply(f"Thank you, {named.name}.")
        return Entry(named.name, int(turn.argument))

    @on(show)
    def tell(self, turn: Turn, entry: Entry) -> None:
        """What was submitted."""
        turn.reply(f"{entry.name} is {entry.age}.")

    @on(withdraw)
    def forget(self, turn: Turn, _entry: Entry) -> None:
        """Nothing is kept."""
        turn.reply("It is gone.")

    @on(too_late)
    def begin_anew(self, turn: Turn, _named: Named) -> None:
        """The age did not come in time."""
        turn.say("Let us begin anew: what is your name?")


class Greeter(Flow):
    """Defect: what it answers depends on the memory of the process."""

    scope = Scope.USER

    idle = State(initial=True)
    known = State(durable)

    meet = Event(idle, known, command="meet")
    who = Event(known, STAY, command="who")
    part = Event(known, idle, command="part")

    def __init__(self) -> None:
        self._met: dict[str, str] = {}

    @on(meet)
    def note(self, turn: Turn, _data: None) -> None:
        """Remember, but not in a record."""
        self._met[turn.sender] = "a friend"
        turn.reply("Pleased to meet you.")

    @on(who)
    def tell(self, turn: Turn, _data: None) -> None:
        """Say what is remembered."""
        turn.reply(f"You are {self._met.get(turn.sender, 'a stranger')}.")


@frozen
class Early:
    person: str


@frozen
class Late:
    person: str


@frozen
class Shift:
    kind: Early | Late


class Shifts(Flow):
    """Defect: what its record holds can't be told apart when it is read, so it can't be saved."""

    scope = Scope.ROOM

    idle = State(initial=True)
    taken = State(durable, record=Shift)

    take = Event(idle, taken, command="take")
    tell = Event(taken, STAY, command="shift")
    leave = Event(taken, idle, command="leave")

    @on(take)
    def note(self, turn: Turn, _data: None) -> Shift:
        """Keep it."""
        turn.reply("It is yours.")
        return Shift(Late(turn.sender))

    @on(tell)
    def say(self, turn: Turn, shift: Shift) -> None:
        """Tell it."""
        turn.reply(f"The {type(shift.kind).__name__} shift.")


class Sulker(Flow):
    """Defect: in one of its states it swallows what people write."""

    scope = Scope.MEMBER

    idle = State(initial=True)
    offended = State(durable)

    offend = Event(idle, offended, command="offend")
    ignore = Event(offended, STAY, text=True)
    make_up = Event(offended, idle, command="sorry")


class Hog(Flow):
    """Defect: in one of its states it swallows every command, ``!help`` too."""

    scope = Scope.MEMBER

    idle = State(initial=True)
    hogging = State(ephemeral, expires=minutes(5))
    kept = State(durable)

    hog = Event(idle, kept, command="hog")
    release = Event(kept, idle, command="release")
    doze = Event(kept, hogging, command="doze")
    swallow = Event(kept, STAY, command=ANY)
    wake = Event(hogging, idle, command="wake")


class Sleeper(Flow):
    """Defect: what it does when its time is up always fails."""

    scope = Scope.MEMBER

    idle = State(initial=True)
    asleep = State(ephemeral, expires=minutes(5))

    sleep = Event(idle, asleep, command="sleep")
    wake = Event(asleep, idle, on_expiry=True)

    @on(wake)
    def fail(self, _turn: Turn, _data: Any) -> None:
        """Fail."""
        raise RuntimeError("no alarm clock")


@frozen
class Depart:
    """A signal that no flow sends."""


class Distant(Flow):
    """Something that its own declaration does not say how to cause."""

    scope = Scope.MEMBER

    idle = State(initial=True)
    far = State(durable)

    depart = Event(idle, far, on=Depart)
    arrive = Event(far, idle, text=r"land ho\W*")
