"""What lint tells of flows that can be defined, and what it lets pass."""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fsm import Turn
from strandline.authoring.writing import WRITES
from strandline.cli.main import cli

HEAD = """\
from collections.abc import Sized
from attrs import define, field, frozen
from strandline import *


@frozen
class Order:
    lines: list[str] = field(factory=list)
    size: int = 1


@frozen
class Doubt:
    about: str = ""


@frozen
class Close:
    pass


class Shop(Flow):
    'Sells things.'

    idle = State(initial=True)
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = list(sys.path)
    before = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.path[:] = path
    for module in set(sys.modules) - before:
        del sys.modules[module]


def lint(*arguments: str) -> Result:
    for name in ("shop", "shop.flows", "shop.till", "bank", "till"):
        sys.modules.pop(name, None)
    return CliRunner().invoke(cli, ["lint", *arguments])


def found(project: Path, body: str, *, head: str = HEAD) -> list[str]:
    """What is found in the class body, as the line's text and the code."""
    text = head + "".join(f"    {line}\n" for line in inspect.cleandoc(body).splitlines())
    (project / "shop.py").write_text(text)
    lines = text.splitlines()
    told = [line.split(" ")[:2] for line in lint("shop.py").output.splitlines()[:-1]]
    return [f"{code} {lines[int(place.split(':')[1]) - 1].strip()}" for place, code in told]


ORDERED = """\
ordered = State(durable, record=Order)
begin = Event(idle, ordered, command="begin")
more = Event(ordered, STAY, command="more")
end = Event(ordered, idle, command="end")

@on(begin)
def start(self, turn: Turn, _data: None) -> Order:
    return Order()

"""


@pytest.mark.parametrize(
    ("handler", "code"),
    [
        ("def add(self, turn, order):\n    order.lines.append(turn.argument)", "SL207"),
        ("def add(self, turn, order):\n    order.lines[0] = turn.argument", "SL207"),
        ("def add(self, turn, order):\n    order.size += 1", "SL207"),
        ("def add(self, turn, order):\n    del order.lines[0]", "SL207"),
        ("def add(self, turn, order):\n    return Order([*order.lines, turn.argument])", ""),
        ("def add(self, turn, order):\n    order = Order()\n    order.lines.append('')", ""),
        ("def add(self, turn, order):\n    turn.reply(order.lines[0].strip())", ""),
        ("def add(self, turn, order):\n    list(order.lines).append('')", ""),
        ("def add(self, turn: Turn, order: Doubt) -> None: ...", "SL208"),
        ("def add(self, turn: Turn, order: Order | None) -> None: ...", ""),
        ("def add(self, turn: Turn, order: object) -> None: ...", ""),
        ("def add(self, turn: Turn, order: 'Elsewhere') -> None: ...", ""),
        ("def add(self, turn: Turn, order: Sized) -> None: ...", ""),
        ("def add(self, turn: Turn, order: type[Order]) -> None: ...", ""),
        ("add = on(more)(lambda self, turn, order: order.lines.append(''))", ""),
        ("async def add(self, turn: Turn, order: Order) -> Doubt: ...", "SL209"),
        ("async def add(self, turn: Turn, order: Order) -> Order: ...", ""),
        ("async def add(self, turn: Turn, order: Order) -> Order | None: ...", ""),
        ("def add(self, turn, order):\n    pass", ""),
    ],
)
def test_a_handler_is_held_to_what_its_states_carry(project: Path, handler: str, code: str) -> None:
    expected = [f"{code} {handler.splitlines()[0]}"] if code else []
    decorator = "" if handler.startswith("add =") else "@on(more)\n"

    assert found(project, f"{ORDERED}{decorator}{handler}") == expected


@pytest.mark.parametrize(
    ("handler", "is_right"),
    [
        ("def start(self, turn, data):\n    turn.reply('Begun.')", False),
        ("def start(self, turn, data):\n    return", False),
        ("def start(self, turn, data) -> None: ...", False),
        ("def start(self, turn, data):\n    return make(turn)", True),
        ("def start(self, turn, data):\n    raise NotImplementedError", True),
        ("@kept\ndef start(self, turn, data): ...", True),
    ],
)
def test_a_handler_makes_what_its_target_carries(
    project: Path, handler: str, *, is_right: bool
) -> None:
    before = ORDERED.partition("@on")[0]
    head = HEAD.replace("class Shop", "def kept(made):\n    return made\n\n\nclass Shop")

    told = found(project, f"{before}\n@on(begin)\n{handler}", head=head)

    assert [line.partition(" ")[0] for line in told] == ([] if is_right else ["SL209"])


def test_a_handler_of_an_event_to_idle_returns_nothing(project: Path) -> None:
    told = found(project, f"{ORDERED}@on(end)\ndef stop(self, turn, order) -> Order: ...")

    assert told == ["SL209 def stop(self, turn, order) -> Order: ..."]


@pytest.mark.parametrize(
    ("guard", "is_right"),
    [
        ("def may(self, turn):\n    turn.reply('No.')\n    return False", False),
        ("def may(self, t):\n    return bool(t.trigger(Doubt()))", False),
        ("def may(self, turn):\n    return turn.argument.isdigit()", True),
        ("def may(self, turn):\n    turn = str(turn)\n    return turn.join('')", True),
    ],
)
def test_a_guard_only_answers(project: Path, guard: str, *, is_right: bool) -> None:
    told = found(project, f"go = Event(idle, STAY, command='go')\n\n@go.guard\n{guard}")

    assert told == ([] if is_right else [f"SL206 {guard.splitlines()[0]}"])


def test_the_writes_of_a_turn_are_all_known() -> None:
    reading = {"answering", "gettext", "ngettext", "room_link", "signal"}
    methods = {name for name, _ in inspect.getmembers(Turn, inspect.isfunction)}

    assert {name for name in methods - reading if not name.startswith("_")} == WRITES


@pytest.mark.parametrize("default", ["[]", "{}", "set()"])
def test_a_default_that_all_records_share_is_told(project: Path, default: str) -> None:
    body = ORDERED.replace("Order", "Basket")
    head = HEAD.replace(
        "class Shop", f"@define\nclass Basket:\n    lines: list[str] = {default}\n\n\nclass Shop"
    )

    assert found(project, body, head=head) == ["SL204 ordered = State(durable, record=Basket)"]


def test_a_flow_that_takes_every_command_is_told(project: Path) -> None:
    taking = "rest = Event(idle, STAY, command=ANY"

    assert found(project, f"{taking})") == [f"SL210 {taking})"]
    assert found(project, f"{taking})\n\n@rest.guard\ndef may(self, turn): return True") == []


def test_a_percent_sign_is_written_as_workflows_read_it(project: Path) -> None:
    (project / "shop.py").write_text(f'{HEAD}    half = Event(idle, STAY, command="50%")\n')

    assert "the command '50%'" in lint("shop.py").output
    assert "the command '50%25'" in lint("shop.py", "--format", "github").output


ASKED = "yes = Event(idle, STAY, reaction='✅')\nask = Event(idle, STAY, command='ask')\n"


def test_an_answer_to_what_nothing_asks_is_told(project: Path) -> None:
    asking = "\n@on(ask)\ndef put(self, turn, data):\n    turn.ask_back('?')"

    assert found(project, ASKED) == ["SL205 yes = Event(idle, STAY, reaction='✅')"]
    assert found(project, ASKED + asking) == []


@pytest.mark.parametrize(
    ("beside", "is_caused"),
    [
        ("turn.trigger(Close())", True),
        ("turn.confirm('?', then=shop.Close())", True),
        ("turn.trigger(Close)", False),
        ("file.close()", False),
        ("Event(idle, STAY, on=Close)", False),
        ("(", False),
    ],
)
def test_an_event_is_caused_by_what_lies_beside_its_flow(
    project: Path, beside: str, *, is_caused: bool
) -> None:
    (project / "keeper.py").write_text(beside)

    told = found(project, "close = Event(idle, STAY, on=Close)")

    assert told == ([] if is_caused else ["SL203 close = Event(idle, STAY, on=Close)"])


def test_an_event_without_any_cause_is_told(project: Path) -> None:
    assert found(project, "close = Event(idle, STAY)") == ["SL203 close = Event(idle, STAY)"]


def test_an_event_is_caused_by_another_package_that_is_looked_at_too(project: Path) -> None:
    for name, text in (
        ("shop", HEAD + "    close = Event(idle, STAY, on=Close)\n"),
        ("bank", HEAD.replace("Shop", "Bank") + "    def f(self, t):\n        t.trigger(Close())"),
    ):
        (project / name).mkdir()
        (project / name / "__init__.py").write_text(text)

    assert "SL203" in lint("shop").output
    assert lint("shop", "bank").output == "nothing is wrong\n"


def test_a_module_that_can_not_be_imported_keeps_nothing_else_from_being_told(
    project: Path,
) -> None:
    (project / "a.py").write_text("from strandline import Flow\n1 / 0\n")
    (project / "b.py").write_text("from strandline import Flow\nraise SystemExit\n")
    (project / "c.py").write_text("class Broken(Flow):\nx = (\n")
    (project / "d.py").write_text("from strandline import *\nclass D(Flow):\n    a = State()\n")

    result = lint(".")

    assert result.exit_code == 1
    assert [line.split(" ")[:2] for line in result.output.splitlines()[:-1]] == [
        ["a.py:2:", "SL001"],
        ["b.py:2:", "SL001"],
        ["c.py:2:", "SL001"],
        ["d.py:2:", "SL102"],
        ["d.py:3:", "SL111"],
    ]


def test_a_flow_that_is_named_is_looked_at_alone(project: Path) -> None:
    text = HEAD + "    go = Event(idle, STAY, command='go')\n"
    (project / "two.py").write_text(f"{text}\n\n{text.replace('Shop', 'Rival')}")

    assert "SL302" in lint("two").output
    assert lint("two:Rival").output == "nothing is wrong\n"


def test_of_two_classes_of_one_name_the_right_one_is_shown(project: Path) -> None:
    (project / "made.py").write_text(
        f"{HEAD}    def may(self, turn): return True\n\n"
        "    first = Event(idle, STAY)\n\n\n"
        "def other():\n    class Shop:\n        first = 1\n"
    )

    [line, _] = lint("made").output.splitlines()
    assert line.startswith("made.py:28: SL203")


def test_a_project_folder_stands_for_its_packages_as_they_are_imported(project: Path) -> None:
    (project / "my_shop").mkdir()
    (project / "my_shop" / "__init__.py").touch()
    (project / "my_shop" / "flows.py").write_text(f"{HEAD}    close = Event(idle, STAY)\n")
    (project / "setup.py").write_text("raise SystemExit('not to be run')\n")
    (project / ".venv").mkdir()
    (project / ".venv" / "theirs.py").write_text("from strandline import Flow\n1 / 0\n")
    (project / "config.yaml").write_text("flows: [my_shop.flows:Shop]\n")

    [line, _] = lint(".", "--config", "config.yaml").output.splitlines()

    assert line.startswith("my_shop/flows.py:26: SL203")


def test_a_handler_whose_place_another_of_its_name_takes_is_told(project: Path) -> None:
    told = found(project, f"{ORDERED}@on(more)\ndef start(self, turn, order): ...")

    assert "SL211 def start(self, turn: Turn, _data: None) -> Order:" in told


def test_a_guard_whose_place_another_of_its_name_takes_is_told(project: Path) -> None:
    events = "go = Event(idle, STAY, command='go')\ncome = Event(idle, STAY, command='come')"
    guard = "def may(self, turn): return True"

    told = found(project, f"{events}\n@go.guard\n{guard}\n@come.guard\n{guard}")

    assert [line.partition(" ")[0] for line in told] == ["SL211"]


def test_an_event_whose_place_another_of_its_name_takes_is_told(project: Path) -> None:
    first, second = (f"go = Event(idle, STAY, command='{name}')" for name in ("go", "come"))

    assert found(project, f"{first}\n{second}") == [f"SL211 {first}"]


def test_modules_of_one_name_in_two_folders_are_both_looked_at(project: Path) -> None:
    for folder, name in (("one", "Shop"), ("two", "Bank")):
        (project / folder).mkdir()
        text = f"{HEAD.replace('Shop', name)}    close = Event(idle, STAY)\n"
        (project / folder / "shop.py").write_text(text)

    lines = lint(".").output.splitlines()

    assert [line.partition(":")[0] for line in lines[:-1]] == ["one/shop.py", "two/shop.py"]


def test_an_installed_package_stands_for_all_its_modules(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(project / "lib")
    package = project / "lib" / "shop"
    (package / "till").mkdir(parents=True)
    (package / "__init__.py").write_text("from strandline import Flow\n")
    (package / "flows.py").write_text("from strandline import Flow\n1 / 0\n")
    (package / "till" / "__init__.py").write_text(f"{HEAD}    close: Event = Event(idle, STAY)\n")

    told = [line.split(" ")[:2] for line in lint("shop").output.splitlines()[:-1]]

    assert told == [["lib/shop/flows.py:2:", "SL001"], ["lib/shop/till/__init__.py:26:", "SL203"]]


def test_a_package_that_can_not_be_imported_is_told_once(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(project / "lib")
    (project / "lib" / "shop").mkdir(parents=True)
    (project / "lib" / "shop" / "__init__.py").write_text("1 / 0\n")
    (project / "lib" / "shop" / "flows.py").write_text(HEAD)

    for target in ("shop", "shop:Shop", "lib/shop"):
        [line, _] = lint(target).output.splitlines()
        assert line.startswith("lib/shop/__init__.py:1: SL001 shop.import: ZeroDivisionError")


def test_a_flow_without_a_class_body_is_told_with_its_file(project: Path) -> None:
    (project / "shop.py").write_text(
        "from strandline import *\n"
        "idle = State(initial=True)\n"
        "Made = type('Made', (Flow,), {'idle': idle, 'go': Event(idle, STAY, text=True)})\n"
    )

    assert lint("shop").output.startswith("shop.py:1: SL202 warning: Made.go")


def test_a_flow_that_is_named_by_where_it_is_offered_is_found(project: Path) -> None:
    (project / "shop").mkdir()
    (project / "shop" / "flows.py").write_text(f"{HEAD}    close = Event(idle, STAY)\n")
    (project / "shop" / "__init__.py").write_text("from shop.flows import Shop\n")

    assert lint("shop:Shop").output.startswith("shop/flows.py:26: SL203")
    assert "module 'shop' has no 'Stop'; correct the path" in lint("shop:Stop").output


TILL = (
    HEAD.replace("Shop", "Till").replace("class Close", "class Pay")
    + """\
    pay = Event(idle, STAY, command="pay", on=Pay)


@frozen
class Nobody:
    pass
"""
)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("turn.trigger(till.Pay())", ""),
        ("turn.trigger(signal=till.Pay())", ""),
        ("turn.trigger(till.Nobody())", "SL303"),
        ("turn.trigger(signal=till.Nobody())", "SL303"),
        ("turn.trigger(Nobody())", "SL303"),
        ("turn.trigger(Release())", ""),
        ("turn.trigger(Reset(till.Till))", ""),
        ("turn.trigger(self.made_at_start)", ""),
        ("turn.trigger(data.Nobody())", ""),
        ("Nobody = data; turn.trigger(Nobody())", ""),
        ("data.trigger(Nobody())", ""),
        ("turn.confirm('?', then=till.Pay(), otherwise=Nobody())", "SL303"),
        ("turn.confirm('?', then=Nobody())", "SL303"),
        ("[turn.trigger(Nobody()) for _ in '1']", "SL303"),
    ],
)
def test_a_signal_that_no_flow_answers_is_told(project: Path, call: str, code: str) -> None:
    (project / "till.py").write_text(TILL)
    (project / "shop.py").write_text(
        "import till; from till import Nobody; from fsm.values.signals import Release\n"
        + HEAD
        + "    go = Event(idle, STAY, command='go')\n\n"
        + f"    @on(go)\n    def start(self, turn, data):\n        {call}\n"
    )

    output = lint("shop.py", "till.py").output

    line = output.partition(" warning:")[0].partition(" Shop.start:")[0]
    assert line == (f"shop.py:30: {code}" if code else "nothing is wrong\n")


def test_a_helper_s_turn_is_read_as_a_handler_s_is(project: Path) -> None:
    helper = "count = 1\ndef help_out(self, about, said: Turn):\n    said.trigger(Close())"

    assert found(project, helper) == [
        "SL303 def help_out(self, about, said: Turn):",
    ]


def test_only_a_config_tells_that_the_flow_of_a_signal_does_not_run(project: Path) -> None:
    (project / "till.py").write_text(TILL)
    (project / "shop.py").write_text(
        "from till import Pay\n"
        + HEAD
        + "    go = Event(idle, STAY, command='go')\n\n"
        + "    @on(go)\n    def start(self, turn, data):\n        turn.trigger(Pay())\n"
    )
    (project / "config.yaml").write_text("flows: [shop:Shop]\n")

    assert lint("shop").output == "nothing is wrong\n"
    told = lint("--config", "config.yaml")
    assert told.output.startswith("shop.py:30: SL304 Shop.start: it triggers Pay, and Till, which")
    assert told.exit_code == 1
    (project / "config.yaml").write_text("flows: [shop:Shop, till:Till]\n")
    assert lint("--config", "config.yaml").output == "nothing is wrong\n"
    (project / "config.yaml").write_text("flows: [till:Till]\n")
    assert lint("shop", "--config", "config.yaml").output == "nothing is wrong\n"


@pytest.mark.parametrize(
    ("returns", "is_right"), [("None", True), ("Doubt", False), ("Order", True)]
)
def test_a_handler_of_an_event_that_leads_back_returns_nothing_or_what_was_there(
    project: Path, returns: str, *, is_right: bool
) -> None:
    body = f"""
        ordered = State(durable, record=Order)
        doubtful = State(durable, record=Doubt)
        begin = Event(idle, ordered, command="begin")
        wonder = Event(ordered, doubtful, command="wonder")
        end = Event(ordered, idle, command="end")
        go_on = Event(doubtful, BACK, command="on")

        @on(begin)
        def start(self, turn) -> Order: ...

        @on(wonder)
        def ask(self, turn) -> Doubt: ...

        @on(go_on)
        def resume(self, turn, doubt) -> {returns}: ...
    """

    told = [line.partition(" ")[0] for line in found(project, body)]

    assert told == ([] if is_right else ["SL209"])
