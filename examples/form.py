"""A form with three steps: who comes along to the summer party gives a name, an address and a meal.

    !signup     begin, or see what you have signed up with
    !cancel     leave the form
    !signoff    stay at home after all, once you have confirmed it

A restart keeps what was submitted, and forgets a half-filled form: `!signup` begins it anew.
"""

from attrs import evolve, frozen

from strandline import STAY, Event, Flow, State, Turn, as_typed, durable, ephemeral, minutes, on


@frozen
class SignUp:
    """What was submitted."""

    name: str
    address: str
    meal: str


@frozen
class Draft:
    """What has been filled in so far."""

    name: str
    address: str = ""


@frozen
class SignOff:
    """They are sure."""


class Form(Flow):
    """The form of one person in one room."""

    idle = State(initial=True)
    asking_name = State(ephemeral, expires=minutes(15))
    asking_address = State(ephemeral, memory=Draft, expires=minutes(15))
    asking_meal = State(ephemeral, memory=Draft, expires=minutes(15))
    signed_up = State(durable, record=SignUp)

    filling_in = (asking_name, asking_address, asking_meal)

    begin = Event((idle, *filling_in), asking_name, command="signup", help="come to the party")
    give_name = Event(asking_name, asking_address, text=True)
    give_address = Event(asking_address, asking_meal, text=r"[^@\s]+@[^@\s]+\.[^@\s]+")
    no_address = Event(asking_address, STAY, text=True)
    give_meal = Event(asking_meal, signed_up, text=r"(?i)meat|fish|vegan")
    no_meal = Event(asking_meal, STAY, text=True)
    cancel = Event(filling_in, idle, command="cancel")
    lapse = Event(filling_in, idle, on_expiry=True)
    show = Event(signed_up, STAY, command="signup")
    ask_sign_off = Event(signed_up, STAY, command="signoff", help="stay at home after all")
    sign_off = Event(signed_up, idle, on=SignOff)

    @on(begin)
    def ask_name(self, turn: Turn) -> None:
        """The first step."""
        turn.reply("What is your name?")

    @on(give_name)
    def ask_address(self, turn: Turn) -> Draft:
        """Any name will do."""
        turn.reply("At which e-mail address do you want to hear from us?")
        return Draft(turn.argument.strip())

    @on(give_address)
    def ask_meal(self, turn: Turn, draft: Draft) -> Draft:
        """It looks like an address."""
        turn.reply("What do you eat: meat, fish or vegan?")
        return evolve(draft, address=turn.argument.strip())

    @on(no_address)
    def ask_address_again(self, turn: Turn) -> None:
        """It does not."""
        turn.reply("That is no e-mail address. It looks like `name@example.org`.")

    @on(no_meal)
    def ask_meal_again(self, turn: Turn) -> None:
        """We have not got this."""
        turn.reply("Please answer with one of the three: meat, fish or vegan.")

    @on(give_meal)
    def submit(self, turn: Turn, draft: Draft) -> SignUp:
        """From here on it is kept."""
        turn.reply(f"You are signed up, {as_typed(draft.name)}. See you at the party!")
        return SignUp(draft.name, draft.address, turn.argument.strip().lower())

    @on(cancel)
    def leave(self, turn: Turn) -> None:
        """Nothing has been submitted."""
        turn.reply("All right, you are not signed up.")

    @on(lapse)
    def give_up(self, turn: Turn) -> None:
        """A quarter of an hour without a word."""
        turn.say(f"Your form has lapsed. `{turn.prefix}signup` begins it anew.")

    @on(show)
    def tell(self, turn: Turn, kept: SignUp) -> None:
        """What was submitted."""
        turn.reply(
            f"You are signed up: {as_typed(kept.name)}, {as_typed(kept.address)}, {kept.meal}."
        )

    @on(ask_sign_off)
    def confirm_sign_off(self, turn: Turn) -> None:
        """Nothing happens before the yes."""
        turn.confirm("Do you want to stay at home?", then=SignOff())

    @on(sign_off)
    def forget(self, turn: Turn, kept: SignUp) -> None:
        """Nothing is kept any more."""
        turn.reply(f"What a pity, {as_typed(kept.name)}. You are signed off.")
