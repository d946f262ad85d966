"""The bot's own flows, and those of others beside them."""

from pathlib import Path

import pytest

from fsm import STAY, Event, Flow, Registry, State, Turn, UnansweredSignal, on
from fsm.values.signals import Release
from strandline.config.model import load_config
from strandline.flows.own_flows import make_flows
from tests.unit.strandline.engine.test_turns import STARTED, Pay, Till
from tests.unit.strandline.flows.test_discovery import GOOD


class Keeper(Flow):
    """Triggers a signal of another author's flow, and one of the bot's own."""

    idle = State(initial=True)
    close = Event(idle, STAY, command="close")

    @on(close)
    def pay_out(self, turn: Turn, _data: None) -> None:
        turn.trigger(Release())
        turn.trigger(Pay())


def make(folder: Path, *further: Flow) -> list[Flow]:
    (folder / "config.yaml").write_text(GOOD)
    config = load_config(folder / "config.yaml")
    return make_flows(config, Registry(config.registry_entries()), STARTED, further=further)


def test_a_signal_that_no_running_flow_answers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnansweredSignal, match=r"^Keeper.pay_out: it triggers Pay, and .*Till"):
        make(tmp_path, Keeper())


def test_a_signal_that_a_running_flow_answers_is_taken(tmp_path: Path) -> None:
    assert make(tmp_path, Keeper(), Till())
