import os
import signal
from pathlib import Path

import pytest

from strandline.testing import BotProcess, Person, Synapse
from strandline.testing.errors import KitError, NotSeen
from strandline.testing.processes import PORTS, free_port
from tests.support.setup import Setup
from tests.unit.strandline.testing.processes import assert_dies_with_its_parent

pytestmark = pytest.mark.homeserver


async def test_two_people_talk_and_read_the_room_back(setup: Setup) -> None:
    alice, bob = await setup.person("alice"), await setup.person("bob")
    room = await alice.create_room(invite=[bob.user_id], name="Tea")
    assert await bob.invites() == [room]

    await bob.join(room)
    question = await alice.say(room, "one lump or two?")
    await bob.sees(room, r"^one lump", after=None)
    first = await bob.say(room, "two")
    await bob.edit(room, first, "three")
    wrong = await bob.say(room, "salt")
    await bob.redact(room, wrong)

    answer = await alice.sees(room, "three", after=question)
    assert (answer.event_id, answer.edits) == (first, 1)
    assert [e.body for e in await alice.timeline(room)] == ["one lump or two?", "three"]
    assert await alice.members(room) == {alice.user_id, bob.user_id}
    assert await alice.state(room, "m.room.name") == {"name": "Tea"}
    await bob.leave(room)
    assert await alice.members(room) == {alice.user_id}
    assert (await bob.invites(), await alice.membership(room, bob.user_id)) == ([], "leave")


async def test_a_long_room_is_read_back_whole_and_in_order(setup: Setup) -> None:
    alice = await setup.person("alice")
    room = await alice.create_room()
    texts = [f"message {number}" for number in range(150)]

    for text in texts:
        await alice.say(room, text)

    assert [e.body for e in await alice.timeline(room)] == texts


async def test_what_is_not_seen_is_reported_with_the_transcript(setup: Setup) -> None:
    alice = await setup.person("alice")
    room = await alice.create_room()
    await alice.say(room, "is anybody there?")

    with pytest.raises(NotSeen, match=r"(?s)does not see 'yes'.*is anybody there\?"):
        await alice.sees(room, "yes", timeout_seconds=0.1)


async def test_what_the_homeserver_refuses_is_an_error_that_quotes_it(setup: Setup) -> None:
    alice, bob = await setup.person("alice"), await setup.person("bob")
    room = await alice.create_room()

    with pytest.raises(KitError, match=r"403.*M_FORBIDDEN"):
        await bob.say(room, "let me in")
    assert await alice.membership(room, bob.user_id) is None


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_homeserver_comes_back_with_its_port_and_data(end: str) -> None:
    with Synapse() as synapse:
        async with Person(synapse.url, synapse.register("alice")) as alice:
            room = await alice.create_room()
            await alice.say(room, "before")
            first = synapse.pid

            getattr(synapse, end)()
            synapse.start()

            await alice.say(room, "after")
            assert [e.body for e in await alice.timeline(room)] == ["before", "after"]
            assert synapse.pid != first
    assert not synapse.directory.exists()


def test_a_homeserver_that_cannot_start_says_why_and_leaves_nothing() -> None:
    synapse = Synapse(overrides={"listeners": "none"})

    with pytest.raises(KitError, match=r"(?s)Synapse did not start.*listeners"), synapse:
        pytest.fail("it started")

    assert not synapse.directory.exists()
    assert synapse.pid is None


async def test_a_bot_that_cannot_start_says_why(tmp_path: Path) -> None:
    bot = BotProcess(tmp_path, {"agents": []})

    with pytest.raises(KitError, match=r"(?s)did not get ready.*homeserver: is missing"):
        await bot.start()

    assert bot.exit_code() == 2


async def test_a_killed_bot_is_gone_and_comes_back_as_another_process(setup: Setup) -> None:
    bot = await setup.bot()
    first = bot.pid

    await bot.kill()
    assert bot.exit_code() == -signal.SIGKILL
    await bot.start()

    assert bot.pid != first
    assert [line["event"] for line in bot.log_lines()].count("ready") == 1
    assert bot.log_path.read_text().count('"event": "ready"') == 2


PARENT = """
from strandline.testing import Synapse
synapse = Synapse()
synapse.start()
print(synapse.pid, synapse.directory, flush=True)
input()
"""


async def test_a_homeserver_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    await assert_dies_with_its_parent(PARENT, environment=environment)


def test_a_port_is_none_that_an_outgoing_connection_may_take() -> None:
    ephemeral = Path("/proc/sys/net/ipv4/ip_local_port_range")

    assert free_port() in PORTS
    if ephemeral.exists():
        assert PORTS[-1] < int(ephemeral.read_text().split()[0])
