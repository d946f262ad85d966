import asyncio

import pytest

from fsm.values.ids import RoomId, UserId
from strandline.testing import Person
from tests.support.limits import HANGS_SECONDS
from tests.support.setup import Setup

pytestmark = pytest.mark.homeserver


async def _membership_becomes(person: Person, room: RoomId, user: UserId, wanted: str) -> None:
    async with asyncio.timeout(HANGS_SECONDS):
        while await person.membership(room, user) != wanted:
            await asyncio.sleep(0.05)


async def test_an_invite_from_somebody_who_is_not_allowed_is_declined(setup: Setup) -> None:
    bot = await setup.bot(access={"users": ["@nobody:*"]})
    alice = await setup.person("alice")

    room = await alice.create_room(invite=[bot.user_id])

    await _membership_becomes(alice, room, bot.user_id, "leave")
    assert await alice.timeline(room) == []


async def test_a_guest_who_is_not_allowed_gets_no_answer(setup: Setup) -> None:
    alice, bob = await setup.person("alice"), await setup.person("bob")
    bot = await setup.bot(access={"users": [alice.user_id]})
    room = await setup.meet(alice, bot)
    await alice.invite(room, bob.user_id)
    await bob.join(room)

    await bob.say(room, "!help")
    await alice.asks(room, "hello", r"^\[agent-1 · chat 1\] hello$")

    said_by_bot = [e.body for e in await alice.timeline(room) if e.sender == bot.user_id]
    assert len(said_by_bot) == 2  # the greeting and the answer to alice


async def test_history_before_the_invite_is_not_answered_and_what_follows_it_is(
    setup: Setup,
) -> None:
    bot = await setup.bot()
    alice = await setup.person("alice")
    room = await alice.create_room()
    for number in range(3):
        await alice.say(room, f"before {number}")
    await bot.kill()
    await alice.invite(room, bot.user_id)
    await alice.say(room, "between")

    await bot.start()

    await alice.sees(room, r"^\[agent-1 · chat 1\] between$")
    await setup.answers_each_once(alice, room, ["between"])
    assert not [e for e in await alice.timeline(room) if "] before" in e.body]


async def test_a_first_start_answers_no_history_but_takes_invites(setup: Setup) -> None:
    bot = await setup.bot()
    alice = await setup.person("alice")
    old = await setup.meet(alice, bot)
    await alice.asks(old, "hello", r"^\[agent-1 · chat 1\] hello$")
    await bot.kill()
    await alice.say(old, "lost with the database")
    new = await alice.create_room(invite=[bot.user_id])
    for path in bot.database.parent.glob("lambda_matrix.db*"):
        path.unlink()

    await bot.start()

    await alice.sees(new, "Hello!")
    await alice.asks(old, "anew", r"^\[agent-1 · chat 1\] anew$")
    assert not [e for e in await alice.timeline(old) if "] lost" in e.body]


async def test_a_bot_that_was_kicked_and_invited_again_keeps_the_rooms_route(
    setup: Setup,
) -> None:
    bot = await setup.bot()
    alice = await setup.person("alice")
    room = await setup.meet(alice, bot)
    await alice.asks(room, "hello", r"^\[agent-1 · chat 1\] hello$")

    await alice.kick(room, bot.user_id)
    await alice.say(room, "nobody hears this")
    await alice.invite(room, bot.user_id)

    await alice.sees(room, r"This room is bound to \*\*Agent 1\*\* .*platform chat 1")
    await alice.asks(room, "back?", r"^\[agent-1 · chat 1\] back\?$")
    assert not [e for e in await alice.timeline(room) if "] nobody" in e.body]


async def test_a_room_that_can_no_longer_be_answered_stops_no_other(setup: Setup) -> None:
    bot = await setup.bot(options={"delay_seconds": 0.5})
    alice, bob = await setup.person("alice"), await setup.person("bob")
    lost, kept = await setup.meet(alice, bot), await setup.meet(bob, bot)

    await alice.say(lost, "answer this")
    await alice.kick(lost, bot.user_id)

    await bob.asks(kept, "hello", r"^\[agent-1 · chat \d\] hello$")


async def test_a_room_that_holds_up_the_bot_from_the_first_is_read_from_its_invite_after_a_restart(
    setup: Setup,
) -> None:
    bot, alice = await setup.bot(options={"delay_seconds": 600}), await setup.person("alice")
    room = await alice.create_room()
    await alice.say(room, "before the invite")
    await alice.invite(room, bot.user_id)
    asked = [await alice.say(room, f"m{number}") for number in range(2)]
    while not bot.store.rows("SELECT room_id FROM behind WHERE is_entered"):
        await asyncio.sleep(0.05)

    await bot.kill()
    bot.configure(agents=["agent-1"])
    await bot.start()

    await alice.sees(room, r"chat \d+\] m1$")
    answers = [e.in_reply_to for e in await alice.timeline(room) if e.in_reply_to]
    assert answers == asked
