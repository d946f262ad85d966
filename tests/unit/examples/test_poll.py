import pytest

from examples.poll import Poll
from strandline import hours, minutes
from strandline.testing import ALICE, BOB, CAROL, BotProcess, Rehearsal, User

QUESTION = "!poll Where do we eat? Pizza, soup, salad"


async def open_poll() -> Rehearsal:
    """Alice has asked."""
    room = Rehearsal(Poll())
    await room.says(QUESTION, by=ALICE)
    return room


def standing(pizza: int, soup: int, salad: int) -> str:
    return f"Where do we eat?  \n1️⃣ Pizza: {pizza}  \n2️⃣ soup: {soup}  \n3️⃣ salad: {salad}"


async def test_the_question_is_put_with_an_emoji_for_each_choice() -> None:
    room = await open_poll()

    assert room.said == standing(0, 0, 0)


@pytest.mark.parametrize(
    "text",
    ["!poll", "!poll Pizza?", "!poll Pizza? Yes", "!poll Which? a, b, c, d, e, f", "!poll a, b"],
)
async def test_what_can_not_be_voted_on_is_explained(text: str) -> None:
    room = Rehearsal(Poll())

    await room.says(text)

    assert "Ask like this" in room.said
    assert room.state(Poll) == "idle"


async def test_everybody_in_the_room_votes() -> None:
    room = await open_poll()

    await room.reacts("1️⃣", by=ALICE)
    await room.reacts("2️⃣", by=BOB)
    await room.reacts("2️⃣", by=CAROL)

    assert room.said == standing(1, 2, 0)


async def test_a_vote_counts_however_a_client_writes_the_emoji() -> None:
    room = await open_poll()

    await room.reacts("1\u20e3", by=ALICE)

    assert room.said == standing(1, 0, 0)


async def test_what_is_voted_on_is_shown_as_it_was_typed() -> None:
    room = Rehearsal(Poll())

    await room.says("!poll [Where](https://example.org)? *Here*, there", by=ALICE)

    assert room.said.startswith("\\[Where\\](https://example.org)?  \n1️⃣ \\*Here\\*: 0")


async def test_who_takes_an_emoji_back_takes_the_vote_back() -> None:
    room = await open_poll()
    vote = await room.reacts("1️⃣", by=BOB)
    await room.reacts("3️⃣", by=BOB)

    await room.takes_back(vote)

    assert room.said == standing(0, 0, 1)


async def test_a_message_that_is_taken_back_is_no_vote() -> None:
    room = await open_poll()
    message = await room.says("Soup, anybody?", by=BOB)

    turn = await room.takes_back(message)

    assert turn.effects == []


async def test_an_emoji_that_stands_for_no_choice_does_not_count() -> None:
    room = await open_poll()

    await room.reacts("4️⃣", by=BOB)

    assert room.data(Poll).votes == {}
    assert "does not count" in room.said


async def test_there_is_one_poll_at_a_time() -> None:
    room = await open_poll()

    await room.says("!poll Where to? Here, there", by=BOB)

    assert room.said == "First `!close` this poll: Where do we eat?"


async def test_anybody_closes_the_poll() -> None:
    room = await open_poll()
    await room.reacts("1️⃣", by=ALICE)

    await room.says("!close", by=BOB)

    assert room.said == "The poll is over. " + standing(1, 0, 0)
    assert room.state(Poll) == "idle"


async def test_the_result_is_told_after_an_hour() -> None:
    room = await open_poll()
    await room.passes(minutes(50))
    await room.reacts("1️⃣", by=ALICE)

    [turn] = await room.passes(minutes(10))

    assert room.turns[-1] is turn
    assert room.said == "The poll is over. " + standing(1, 0, 0)


async def test_to_take_back_a_vote_of_an_older_poll_changes_nothing() -> None:
    room = await open_poll()
    older = await room.reacts("1️⃣", by=ALICE)
    await room.passes(hours(1))
    await room.says("!poll Where to? Here, there", by=ALICE)
    await room.reacts("1️⃣", by=BOB)

    await room.takes_back(older)

    assert list(room.data(Poll).votes.values()) == ["1️⃣"]


async def test_a_restart_forgets_the_poll_and_a_late_vote_is_told_so() -> None:
    room = await open_poll()
    room.restart()

    await room.reacts("1️⃣", by=BOB)

    assert room.said == "This poll is over: that vote does not count."
    assert room.state(Poll) == "idle"


@pytest.mark.homeserver
@pytest.mark.strandline(flows=[Poll])
async def test_a_killed_bot_begins_the_poll_anew(bot: BotProcess, alice: User, bob: User) -> None:
    await alice.meets_bot()
    await alice.invites(bob)
    await alice.say(QUESTION)
    forgotten = await alice.sees("1️⃣ Pizza: 0")
    await bob.reacts("1️⃣")
    await alice.sees("1️⃣ Pizza: 1")

    await bot.restart()
    await bob.reacts("2️⃣")
    await bob.sees("This poll is over")

    await alice.say(QUESTION)
    question = await alice.sees("1️⃣ Pizza: 0")
    vote = await bob.reacts("1️⃣", to=question)
    await alice.sees("1️⃣ Pizza: 1")
    await bob.redacts(vote)
    await alice.sees("1️⃣ Pizza: 0")
    await bob.reacts("3️⃣", to=forgotten)
    await bob.sees("does not count")
    await bob.reacts("2️⃣", to=question)
    await bob.say("!close")
    await alice.sees("The poll is over")
    await alice.sees("2️⃣ soup: 1")
