import pytest

from examples.on_call import OnCall
from strandline import hours, minutes
from strandline.testing import ALICE, BOB, BotProcess, Rehearsal, User


async def on_call(rota: Rehearsal) -> None:
    """Alice takes the duty."""
    await rota.says("!oncall", by=ALICE)


async def test_who_asks_first_is_on_call() -> None:
    rota = Rehearsal(OnCall())

    await rota.says("!oncall", by=ALICE)

    assert rota.said == f"{ALICE} is on call."
    assert rota.data(OnCall).person == ALICE


async def test_who_asks_next_is_told_who_is_and_since_when() -> None:
    rota = Rehearsal(OnCall())
    await on_call(rota)

    await rota.says("!oncall", by=BOB)

    assert rota.said == f"{ALICE} is on call since 01 January 12:00 UTC."
    assert rota.data(OnCall).person == ALICE


async def test_a_colleague_takes_over_what_is_offered() -> None:
    rota = Rehearsal(OnCall())
    await on_call(rota)
    await rota.says("!handover", by=ALICE)
    await rota.passes(minutes(30))

    await rota.reacts("✅", by=BOB)

    assert rota.said == f"{BOB} is on call now. Thank you, {ALICE}."
    assert rota.data(OnCall).person == BOB
    assert rota.data(OnCall).since == rota.now


async def test_nobody_takes_over_from_themselves() -> None:
    rota = Rehearsal(OnCall())
    await on_call(rota)
    await rota.says("!handover", by=ALICE)

    await rota.reacts("✅", by=ALICE)

    assert rota.state(OnCall) == "offered"


async def test_the_duty_is_seen_and_offered_again_while_it_is_offered() -> None:
    rota = Rehearsal(OnCall())
    await on_call(rota)
    await rota.says("!handover", by=ALICE)

    await rota.says("!oncall", by=BOB)
    assert rota.said.startswith(f"{ALICE} is on call since")

    await rota.passes(minutes(50))
    await rota.says("!handover", by=ALICE)
    await rota.passes(minutes(50))
    assert rota.state(OnCall) == "offered"


async def test_an_offer_that_nobody_takes_leaves_the_duty_where_it_was() -> None:
    rota = Rehearsal(OnCall())
    await on_call(rota)
    await rota.says("!handover", by=ALICE)
    await rota.passes(hours(1))

    await rota.reacts("✅", by=BOB)

    assert rota.said == f"This offer is no longer open: {ALICE} is on call."
    assert rota.data(OnCall).person == ALICE


async def test_a_restart_keeps_the_duty_and_forgets_the_offer() -> None:
    rota = Rehearsal(OnCall())
    await on_call(rota)
    await rota.says("!handover", by=ALICE)

    rota.restart()

    assert rota.state(OnCall) == "on_call"
    await rota.reacts("✅", by=BOB)
    assert rota.said == f"This offer is no longer open: {ALICE} is on call."


@pytest.mark.parametrize("offered", [False, True])
async def test_the_duty_ends_once_it_is_confirmed(*, offered: bool) -> None:
    rota = Rehearsal(OnCall())
    await on_call(rota)
    if offered:
        await rota.says("!handover", by=ALICE)
    await rota.says("!offcall", by=ALICE)
    assert rota.data(OnCall).person == ALICE

    await rota.says("!yes", by=ALICE)

    assert rota.said == f"{ALICE} is off call, and nobody is on call."
    assert rota.state(OnCall) == "idle"


async def test_the_duty_goes_on_if_its_end_is_not_confirmed() -> None:
    rota = Rehearsal(OnCall())
    await on_call(rota)
    await rota.says("!offcall", by=ALICE)

    await rota.says("!no", by=ALICE)

    assert rota.data(OnCall).person == ALICE


@pytest.mark.parametrize("command", ["!handover", "!offcall"])
async def test_a_duty_that_nobody_has_is_neither_handed_over_nor_ended(command: str) -> None:
    rota = Rehearsal(OnCall())

    await rota.says(command)

    assert rota.said == "Nobody is on call. `!oncall` takes the duty."
    assert rota.state(OnCall) == "idle"


@pytest.mark.homeserver
@pytest.mark.strandline(flows=[OnCall])
async def test_a_killed_bot_knows_who_is_on_call(bot: BotProcess, alice: User, bob: User) -> None:
    await alice.say("!oncall")
    await alice.sees(f"{alice.user_id} is on call")
    await alice.invites(bob)
    await alice.say("!handover")
    await alice.sees("Who takes over")

    await bot.restart()
    await bob.reacts("✅")
    await bob.sees(f"This offer is no longer open: {alice.user_id} is on call")

    await alice.say("!handover")
    await alice.sees("Who takes over")
    await bob.reacts("✅")
    await alice.sees(f"{bob.user_id} is on call now")

    await bot.restart()
    await alice.say("!oncall")
    await alice.sees(f"{bob.user_id} is on call since")
