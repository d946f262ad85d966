"""The form on Strandline. In the bot's config: ``flows: [strandline_form:Form, …:Submissions]``."""

from attrs import frozen

from strandline import STAY, Event, Flow, Scope, State, Turn, durable, ephemeral, minutes, on


@frozen
class Entry:
    name: str
    age: int = 0


@frozen
class Submitted:
    entries: list[Entry]


class Submissions(Flow):
    """What one person has submitted."""

    scope = Scope.USER
    idle = State(initial=True)
    some = State(durable, record=Submitted)

    add = Event((idle, some), some, on=Entry)
    show = Event(some, STAY, command="submitted")
    show_none = Event(idle, STAY, command="submitted")
    forget = Event(some, idle, command="forget")

    @on(add)
    def keep(self, turn: Turn, kept: Submitted | None) -> Submitted:
        entries = [*(kept.entries if kept else []), turn.signal(Entry)]
        turn.reply(f"Stored as no. {len(entries)}.")
        return Submitted(entries)

    @on(show)
    def tell(self, turn: Turn, kept: Submitted) -> None:
        turn.reply("; ".join(f"{n}: {e.name} ({e.age})" for n, e in enumerate(kept.entries, 1)))

    @on(show_none)
    def tell_none(self, turn: Turn) -> None:
        turn.reply("You have submitted nothing.")

    @on(forget)
    def drop_all(self, turn: Turn) -> None:
        turn.reply("All that you submitted is forgotten.")


class Form(Flow):
    """A form that one person fills in."""

    idle = State(initial=True)
    asking_name = State(ephemeral, expires=minutes(15))
    asking_age = State(ephemeral, memory=Entry, expires=minutes(15))
    confirming = State(ephemeral, memory=Entry, expires=minutes(15))

    begin = Event((idle, asking_name, asking_age, confirming), asking_name, command="form")
    cancel = Event((asking_name, asking_age, confirming), idle, command="cancel")
    give_name = Event(asking_name, asking_age, text=True)
    give_age = Event(asking_age, confirming, text=r"[1-9]\d?|1[0-4]\d|150")
    no_age = Event(asking_age, STAY, text=True)
    send = Event(confirming, idle, text="(?i)yes")
    drop = Event(confirming, idle, text="(?i)no")
    unclear = Event(confirming, STAY, text=True)
    nothing_open = Event(idle, STAY, text=True)

    @on(begin)
    def ask_name(self, turn: Turn) -> None:
        turn.reply("What is your name?")

    @on(give_name)
    def ask_age(self, turn: Turn) -> Entry:
        turn.reply("How old are you?")
        return Entry(turn.argument.strip())

    @on(no_age)
    def ask_age_again(self, turn: Turn) -> None:
        turn.reply("Please give a whole number from 1 to 150.")

    @on(give_age)
    def ask_to_send(self, turn: Turn, entry: Entry) -> Entry:
        turn.reply("Send it? (yes/no)")
        return Entry(entry.name, int(turn.argument))

    @on(send)
    def submit(self, turn: Turn, entry: Entry) -> None:
        turn.trigger(entry)

    @on(unclear)
    def ask_to_send_again(self, turn: Turn) -> None:
        turn.reply("Please answer yes or no.")

    @on(cancel, drop)
    def leave(self, turn: Turn) -> None:
        turn.reply("Dropped.")

    @on(nothing_open)
    def tell(self, turn: Turn) -> None:
        turn.reply(f"No form is open. {turn.prefix}form begins one.")
