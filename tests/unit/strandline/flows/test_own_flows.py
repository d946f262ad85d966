"""The bot's own flows, and those of others beside them."""

from pathlib import Path

import pytest

from fsm import STAY, Event, Flow, NoSuchEvent, Registry, State, Turn, on
from strandline.config.model import load_config
from strandline.flows.own_flows import make_flows
from tests.unit.strandline.engine.test_turns import STARTED, Till
from tests.unit.strandline.flows.test_discovery import GOOD


class Keeper(Flow):
    """Names an event of a flow of others, and one of the bot's own."""

    idle = State(initial=True)
    close = Event(idle, STAY, command="close")

    @on(close)
    def pay_out(self, turn: Turn, _data: None) -> None:
        turn.signal("held", "release")
        turn.trigger(Till.pay)


def make(folder: Path, *further: Flow) -> list[Flow]:
    (folder / "config.yaml").write_text(GOOD)
    config = load_config(folder / "config.yaml")
    return make_flows(config, Registry(config.registry_entries()), STARTED, further=further)


def test_a_flow_that_names_one_that_does_not_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoSuchEvent, match=r"^Keeper.pay_out: it names 'till.pay', and no flow"):
        make(tmp_path, Keeper())


def test_a_flow_that_names_others_that_run_is_taken(tmp_path: Path) -> None:
    assert make(tmp_path, Keeper(), Till())
