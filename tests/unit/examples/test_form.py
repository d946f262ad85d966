import pytest

from examples.form import Form, SignUp
from strandline import minutes
from strandline.testing import BotProcess, Rehearsal, User

ADA = SignUp("Ada", "ada@example.org", "fish")


async def filled_in(*answers: str) -> Rehearsal:
    """Somebody has begun the form and answered so much."""
    form = Rehearsal(Form())
    for text in ("!signup", *answers):
        await form.says(text)
    return form


async def test_it_asks_for_a_name_an_address_and_a_meal() -> None:
    form = await filled_in()
    assert form.said == "What is your name?"

    await form.says("Ada")
    assert form.said == "At which e-mail address do you want to hear from us?"

    await form.says("ada@example.org")
    assert form.said == "What do you eat: meat, fish or vegan?"

    await form.says("Fish")
    assert form.said == "You are signed up, Ada. See you at the party!"
    assert form.data(Form) == ADA


@pytest.mark.parametrize("text", ["ada", "ada@", "ada@example", "ada at example.org", "a@b@c.org"])
async def test_what_is_no_address_is_asked_for_again(text: str) -> None:
    form = await filled_in("Ada")

    await form.says(text)

    assert "no e-mail address" in form.said
    assert form.state(Form) == "asking_address"


@pytest.mark.parametrize("text", ["fishes", "meat or fish", "Beans"])
async def test_a_meal_that_is_not_on_the_list_is_asked_for_again(text: str) -> None:
    form = await filled_in("Ada", "ada@example.org")

    await form.says(text)

    assert "one of the three" in form.said
    assert form.state(Form) == "asking_meal"


@pytest.mark.parametrize("answers", [[], ["Ada"], ["Ada", "ada@example.org"]])
async def test_every_step_can_be_left_lapses_and_is_begun_anew(answers: list[str]) -> None:
    form = await filled_in(*answers)
    await form.says("!signup")
    assert form.state(Form) == "asking_name"

    form = await filled_in(*answers)
    await form.says("!cancel")
    assert form.said == "All right, you are not signed up."
    assert form.state(Form) == "idle"

    form = await filled_in(*answers)
    await form.passes(minutes(15))
    assert form.said == "Your form has lapsed. `!signup` begins it anew."
    assert form.state(Form) == "idle"


@pytest.mark.parametrize("answers", [[], ["Ada"], ["Ada", "ada@example.org"]])
async def test_a_restart_forgets_what_was_half_filled_in(answers: list[str]) -> None:
    form = await filled_in(*answers)

    form.restart()

    assert form.state(Form) == "idle"


async def test_a_restart_keeps_what_was_submitted() -> None:
    form = await filled_in("Ada", "ada@example.org", "fish")

    form.restart()

    assert form.data(Form) == ADA
    await form.says("!signup")
    assert form.said == "You are signed up: Ada, ada@example.org, fish."


async def test_who_stays_at_home_says_so_twice() -> None:
    form = await filled_in("Ada", "ada@example.org", "fish")
    await form.says("!signoff")
    assert form.data(Form) == ADA

    await form.says("!yes")

    assert form.said == "What a pity, Ada. You are signed off."
    assert form.state(Form) == "idle"


@pytest.mark.homeserver
@pytest.mark.strandline(flows=[Form])
async def test_a_killed_bot_keeps_what_was_submitted_and_forgets_the_rest(
    bot: BotProcess, alice: User
) -> None:
    await alice.say("!signup")
    await alice.sees("What is your name?")
    await alice.say("Ada")
    await alice.sees("At which e-mail address")

    await bot.restart()
    await alice.say("ada@example.org")
    await alice.does_not_see("What do you eat")

    await alice.say("!signup")
    await alice.sees("What is your name?")
    await alice.say("Ada")
    await alice.sees("At which e-mail address")
    await alice.say("ada@example.org")
    await alice.sees("What do you eat")
    await alice.say("fish")
    await alice.sees("You are signed up, Ada")

    await bot.restart()
    assert bot.store.record(Form, alice) == ADA
    await alice.say("!signup")
    await alice.sees("You are signed up: Ada, ada@example.org, fish.")
