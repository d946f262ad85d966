"""A homeserver that restarts while the bot is down forgets what it has told the bot's device."""

import asyncio
from pathlib import Path

import pytest

from benchmarks.soak.talkers import Reader, Talker
from benchmarks.soak.verdict import fold
from fsm.values.ids import EventId, RoomId
from strandline.testing import Person, Synapse
from tests.e2e.test_backlog import answered
from tests.support.setup import Bot, Setup

pytestmark = [pytest.mark.homeserver, pytest.mark.timeout(3600)]

ROOMS = ["one that the bot made", "one that it was invited to", "one that it joined uninvited"]


@pytest.mark.parametrize("messages", [130, 300])
@pytest.mark.parametrize("where", ROOMS)
async def test_a_backlog_is_answered_once_and_as_it_reads_after_a_restart_of_both(
    where: str, messages: int, tmp_path: Path
) -> None:
    with Synapse() as synapse:
        async with Setup(synapse, tmp_path) as setup:
            alice = await setup.person("alice")
            bot, room = await _room(setup, alice, where)
            sending = asyncio.create_task(_say(alice, room, messages))
            await _answers(alice, bot, room, at_least=40)
            await bot.kill()
            sent = await sending
            edited, gone = await _change_the_last(alice, room, sent)
            synapse.stop()
            synapse.start()

            bot.configure(agents=["agent-1"])
            await bot.start()

            await answered(where, alice, bot, {room: messages - len(gone)}, 0.0)
            asked = [e for e in await alice.timeline(room) if e.in_reply_to in edited]
            assert len(asked) == len(edited)
            assert all("] as it now reads" in answer.body for answer in asked)
            late = [e for e in await alice.timeline(room) if e.in_reply_to in gone]
            assert not late


async def _room(setup: Setup, alice: Person, where: str) -> tuple[Bot, RoomId]:
    onboarding = "space" if where == "one that the bot made" else "none"
    bot = await setup.bot(options={"delay_seconds": 0.2}, rooms={"onboarding": onboarding})
    if where == "one that the bot made":
        return bot, (await setup.welcome(alice, bot)).chat
    if where == "one that it joined uninvited":
        made = await alice.request("POST", "/createRoom", {"preset": "public_chat"})
        room = RoomId(made["room_id"])
        await setup.join_as(bot, room)
        return bot, room
    return bot, await setup.meet(alice, bot)


async def _say(alice: Person, room: RoomId, messages: int) -> list[EventId]:
    return [await alice.say(room, f"m{number}") for number in range(messages)]


async def _answers(alice: Person, bot: Bot, room: RoomId, *, at_least: int) -> None:
    while True:
        seen = fold(room, bot.user_id, await Reader(Talker(alice), room).read())
        if len(seen.questions) - len(seen.unanswered) >= at_least:
            return
        await asyncio.sleep(0.2)


async def _change_the_last(
    alice: Person, room: RoomId, sent: list[EventId]
) -> tuple[set[EventId], set[EventId]]:
    """Edit some that can't have been answered yet, and take some back."""
    edited, gone = sent[-12:-4], sent[-4:]
    for event_id in edited:
        await alice.edit(room, event_id, "as it now reads")
    for event_id in gone:
        await alice.redact(room, event_id)
    return set(edited), set(gone)
