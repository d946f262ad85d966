from collections.abc import Callable

import pytest

from examples.approval import Approval
from strandline import UserId, hours, minutes
from strandline.testing import ALICE, BOB, CAROL, BotProcess, Rehearsal, User


async def requested() -> Rehearsal:
    """Alice has asked."""
    room = Rehearsal(Approval())
    await room.says("!request Deploy 2.0", by=ALICE)
    return room


async def test_two_others_approve() -> None:
    room = await requested()

    await room.reacts("✅", by=BOB)
    assert room.said == f"{BOB} approves. Who else?"
    assert room.data(Approval).approved_by == (BOB,)

    await room.reacts("✅", by=CAROL)
    assert room.said == f"**Approved** by {BOB} and {CAROL}: Deploy 2.0"
    assert room.state(Approval) == "idle"


async def test_a_request_is_shown_as_it_was_typed() -> None:
    room = Rehearsal(Approval())

    await room.says("!request [Deploy](https://example.org)", by=ALICE)

    assert "**\\[Deploy\\](https://example.org)**" in room.said


@pytest.mark.parametrize("emoji", ["✅", "❌"])
async def test_the_asker_does_not_decide(emoji: str) -> None:
    room = await requested()

    turn = await room.reacts(emoji, by=ALICE)

    assert turn.effects == []
    assert room.data(Approval).approved_by == ()


async def test_nobody_approves_twice() -> None:
    room = await requested()
    await room.reacts("✅", by=BOB)

    turn = await room.reacts("✅", by=BOB)

    assert turn.effects == []
    assert room.data(Approval).approved_by == (BOB,)


@pytest.mark.parametrize("by", [BOB, CAROL])
async def test_one_other_rejects_even_one_who_has_approved(by: UserId) -> None:
    room = await requested()
    await room.reacts("✅", by=BOB)

    await room.reacts("❌", by=by)

    assert room.said == f"**Rejected** by {by}: Deploy 2.0"
    assert room.state(Approval) == "idle"


async def test_only_the_asker_withdraws() -> None:
    room = await requested()
    await room.says("!withdraw", by=BOB)
    assert room.state(Approval) == "waiting"

    await room.says("!withdraw", by=ALICE)

    assert room.said == "Closed without approval: Deploy 2.0"
    assert room.state(Approval) == "idle"


async def test_a_request_says_what_is_asked_for() -> None:
    room = Rehearsal(Approval())

    await room.says("!request")

    assert room.said == "Say what: `!request Deploy release 2.0`"
    assert room.state(Approval) == "idle"


async def test_there_is_one_request_at_a_time() -> None:
    room = await requested()

    await room.says("!request Go home", by=BOB)

    assert room.said == f"{ALICE} still waits for approval of this: Deploy 2.0"
    assert room.data(Approval).what == "Deploy 2.0"


async def test_a_restart_keeps_the_request_and_its_deadline() -> None:
    room = await requested()
    await room.reacts("✅", by=BOB)
    await room.passes(hours(23))
    room.restart()

    assert room.data(Approval).approved_by == (BOB,)
    [_lapse] = await room.passes(hours(1))
    assert room.said == "Closed without approval: Deploy 2.0"
    assert await room.passes(hours(24)) == []


@pytest.mark.homeserver
@pytest.mark.strandline(flows=[Approval])
async def test_a_killed_bot_knows_who_has_approved_and_until_when(
    bot: BotProcess, alice: User, bob: User, person: Callable[[str], User]
) -> None:
    carol = person("carol")
    await alice.meets_bot()
    await alice.invites(bob)
    await alice.invites(carol)
    await alice.say("!request Deploy 2.0")
    question = await alice.sees("Deploy 2.0")
    await bob.reacts("✅")
    await alice.sees("approves. Who else?")

    await bot.restart()
    await alice.reacts("✅", to=question)
    await alice.does_not_see("Approved")
    await carol.reacts("✅", to=question)
    await alice.sees(f"by {bob.user_id} and {carol.user_id}: Deploy 2.0")

    await alice.say("!request Go home")
    await alice.sees("Go home")
    await bot.kill()
    await bot.advance(hours(24) + minutes(1))
    await bot.restart()
    await alice.sees("Closed without approval: Go home")
    assert bot.store.record(Approval, alice) is None
