"""``kill_everywhere`` in a test file of an author's, as pytest runs it."""

import re

import pytest

pytestmark = [pytest.mark.homeserver, pytest.mark.timeout(3600)]

FLOWS = '''
from strandline import STAY, Event, Flow, Scope, State, Turn, durable, on


class Light(Flow):
    scope = Scope.ROOM

    idle = State(initial=True)
    lit = State(durable)

    on_ = Event(idle, lit, command="on")
    off = Event(lit, idle, command="off")


class Counter(Flow):
    """It counts in memory, which a restart clears."""

    scope = Scope.ROOM

    idle = State(initial=True)
    counting = State(durable)

    begin = Event(idle, counting, command="begin")
    tell = Event(counting, STAY, command="tell")
    end = Event(counting, idle, command="end")

    def __init__(self) -> None:
        self._begun: set[str] = set()

    @on(begin)
    def note(self, turn: Turn, _data: None) -> None:
        self._begun.add(turn.room_id)

    @on(tell)
    def say(self, turn: Turn, _data: None) -> None:
        turn.reply("begun" if turn.room_id in self._begun else "not begun")
'''

TESTS = """
from lamp.flows import Counter, Light
from strandline.testing import kill_everywhere

test_light_survives = kill_everywhere(Light)
test_counter_survives = kill_everywhere(Counter, length=2)
"""


def test_one_line_covers_a_flow(pytester: pytest.Pytester) -> None:
    pytester.mkpydir("lamp")
    pytester.path.joinpath("lamp/flows.py").write_text(FLOWS, encoding="utf-8")
    pytester.makepyfile(test_survival=TESTS)

    told = pytester.runpytest_subprocess("-q").stdout.str()

    assert "1 failed, 1 passed" in told
    assert re.search(
        r"= killed everywhere =+\nLight: \d+ paths, 4/4 transitions, \d+ kills, [\d.]+ s\n", told
    )
    assert "with no restart: counting --tell--> counting; the bot said: begun" in told
    assert "restarted:       counting --tell--> counting; the bot said: not begun" in told
    assert "──── killed ────" in told
    assert "in survives" not in told, "no traceback through the package"
