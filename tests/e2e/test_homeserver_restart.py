"""A homeserver that restarts while the bot is down forgets what it has told the bot's device."""

import asyncio
from pathlib import Path

import pytest

from benchmarks.soak.talkers import Reader, Talker
from benchmarks.soak.verdict import fold
from fsm.ids import EventId, RoomId
from strandline.testing import Person, Synapse
from tests.e2e.test_backlog import answered
from tests.kit.scene import Bot, Scene

pytestmark = [pytest.mark.homeserver, pytest.mark.timeout(3600)]

MESSAGES = 300

ROOMS = ["one that the bot made", "one that it was invited to"]


@pytest.mark.parametrize("where", ROOMS)
async def test_a_backlog_is_answered_once_and_as_it_reads_after_a_restart_of_both(
    where: str, tmp_path: Path
) -> None:
    with Synapse() as synapse:
        async with Scene(synapse, tmp_path) as scene:
            alice = await scene.person("alice")
            bot, room = await _room(scene, alice, where)
            sent = [await alice.say(room, f"m{number}") for number in range(MESSAGES)]
            await _answers(alice, bot, room, at_least=40)
            await bot.kill()
            edited, gone = await _change_the_last(alice, room, sent)
            synapse.stop()
            synapse.start()

            bot.configure(agents=["agent-1"])
            await bot.start()

            await answered(where, alice, bot, {room: MESSAGES - len(gone)}, 0.0)
            asked = [e for e in await alice.timeline(room) if e.in_reply_to in edited]
            assert len(asked) == len(edited)
            assert all("] as it now reads" in answer.body for answer in asked)
            late = [e for e in await alice.timeline(room) if e.in_reply_to in gone]
            assert not late


async def _room(scene: Scene, alice: Person, where: str) -> tuple[Bot, RoomId]:
    made = where == "one that the bot made"
    bot = await scene.bot(
        options={"delay_seconds": 0.2}, rooms={"onboarding": "space" if made else "none"}
    )
    if made:
        return bot, (await scene.welcome(alice, bot)).chat
    return bot, await scene.meet(alice, bot)


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
