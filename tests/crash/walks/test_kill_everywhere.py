"""What the walks of authors' flows find, and what they say of it."""

import re
from pathlib import Path
from typing import Any

import pytest

from fsm import Flow
from strandline.testing import Synapse, Walker, kill_everywhere
from strandline.testing.walking import KillEverywhereRun, WalkFailed
from tests.crash.walks.flows import Distant, Form, Greeter, Hog, Shifts, Sleeper, Sulker

ROOT = Path(__file__).parents[3]

pytestmark = [pytest.mark.homeserver, pytest.mark.timeout(3600)]

test_a_form_survives = kill_everywhere(
    Form, inputs={Form.name_given: "Ada", Form.misnamed: "x", Form.age_given: ["41", "7"]}
)


async def account_of(flow: type[Flow], synapse: Synapse, directory: Path, **told: Any) -> str:
    """What is said when the flow is walked and fails."""
    with pytest.raises(WalkFailed) as failed:
        await KillEverywhereRun(flow=flow, **told).go(synapse, directory, ROOT)
    return str(failed.value)


async def test_an_answer_that_depends_on_memory_is_found(synapse: Synapse, tmp_path: Path) -> None:
    account = await account_of(Greeter, synapse, tmp_path / "bot", length=2)

    assert "a restart in a durable state changes what comes after it" in account
    assert "path:            idle --!meet--> known --restart--> known --!who--> known" in account
    assert "with no restart: known --who--> known; the bot said: You are a friend." in account
    assert "restarted:       known --who--> known; the bot said: You are a stranger." in account


async def test_a_record_that_could_not_be_read_again_is_found(
    synapse: Synapse, tmp_path: Path
) -> None:
    account = await account_of(Shifts, synapse, tmp_path / "bot", length=1)

    assert re.search(r"shifts in 'taken' can't keep Shift\(.*\): .*Could not disambiguate", account)
    assert "path: idle --!take--> taken" in account


async def test_a_state_that_swallows_messages_is_found(synapse: Synapse, tmp_path: Path) -> None:
    account = await account_of(Sulker, synapse, tmp_path / "bot", length=1)

    assert "after the restart, in 'offended', a plain message is met with silence" in account
    assert "path: idle --!offend--> offended --restart-->" in account
    assert re.search(r"walker-\d+  !offend", account), "the room's transcript"
    assert re.search(r"sulker +the room, walker-\d+ +offend +idle → offended", account), "states"


async def test_a_state_that_swallows_commands_is_found(synapse: Synapse, tmp_path: Path) -> None:
    account = await account_of(Hog, synapse, tmp_path / "bot", length=1)

    assert "after the restart, nobody answers the command for help" in account


async def test_an_end_of_time_that_fails_is_found(synapse: Synapse, tmp_path: Path) -> None:
    account = await account_of(Sleeper, synapse, tmp_path / "bot", length=2)

    assert "the time of 'asleep' was up, and 'wake' did not follow: RuntimeError" in account


async def test_events_that_nobody_knows_how_to_cause_are_named_before_anything_starts(
    synapse: Synapse, tmp_path: Path
) -> None:
    account = await account_of(Distant, synapse, tmp_path / "bot")

    assert "Distant.depart: only a turn that triggers a Depart causes it" in account
    assert 'inputs={Distant.depart: "…"}' in account
    assert "Distant.arrive: a message that matches 'land ho\\\\W*' causes it" in account
    assert not (tmp_path / "bot").exists()


async def test_a_sample_that_does_not_cause_its_event_is_named(
    synapse: Synapse, tmp_path: Path
) -> None:
    async def waves(walker: Walker) -> None:
        await walker.says("Hey!")

    account = await account_of(
        Distant,
        synapse,
        tmp_path / "bot",
        inputs={Distant.depart: waves},
        without={Distant.arrive: "it never gets there"},
        length=1,
    )

    assert "Distant.depart never led from 'idle' to 'far'" in account
    assert "path: idle --depart--> far" in account
    assert "instead: what was done led to no step of this flow" in account
