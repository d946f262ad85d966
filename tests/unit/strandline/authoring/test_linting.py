import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from strandline.cli.main import cli

BAD = """\
from attrs import frozen
from strandline import Event, Flow, State, durable, ephemeral, on, upgrade


class Plain:
    pass


@frozen
class Odd:
    thing: object


class Order(Flow):
    version = 2

    idle = State(initial=True)
    choosing = State(ephemeral)
    ordered = State(durable, record=Odd)
    island = State(durable, record=Plain)

    begin = Event(idle, choosing, command="order")
    say = Event(idle, choosing, text="(")
    place = Event(choosing, ordered, text=True)
    end = Event(ordered, idle)

    @on(begin)
    def start(self):
        pass
"""

PARROT = """\
from strandline import STAY, Event, Flow, State


class Parrot(Flow):
    idle = State(initial=True)
    repeat = Event(idle, STAY, text=True)
    nothing = Event(idle, STAY)
"""

GOOD = """\
from strandline import STAY, Event, Flow, State


class Greeter(Flow):
    idle = State(initial=True)
    greet = Event(idle, STAY, command="greet")
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
    return CliRunner().invoke(cli, ["lint", *arguments])


def places(result: Result) -> list[tuple[str, str]]:
    return [tuple(line.split(" ")[:2]) for line in result.output.splitlines()[:-1]]  # type: ignore[misc]


def test_all_findings_are_told_at_once_with_line_code_and_remedy(project: Path) -> None:
    (project / "orders.py").write_text(BAD)

    result = lint("orders")

    assert result.exit_code == 1
    assert places(result) == [
        ("orders.py:15:", "SL141"),
        ("orders.py:18:", "SL114"),
        ("orders.py:19:", "SL201"),
        ("orders.py:20:", "SL116"),
        ("orders.py:20:", "SL132"),
        ("orders.py:20:", "SL133"),
        ("orders.py:23:", "SL124"),
        ("orders.py:24:", "SL122"),
        ("orders.py:25:", "SL203"),
        ("orders.py:28:", "SL127"),
    ]
    assert (
        "orders.py:18: SL114 Order.choosing: an ephemeral state must end by itself; give it "
        "expires=minutes(5), or what suits it"
    ) in result.output
    assert result.output.endswith("\n10 findings\n")


def test_warnings_alone_end_well_unless_it_is_strict(project: Path) -> None:
    (project / "parrot.py").write_text(PARROT)

    result = lint("parrot.py")

    assert places(result) == [("parrot.py:6:", "SL202"), ("parrot.py:7:", "SL203")]
    assert result.exit_code == 0
    assert lint("parrot.py", "--strict").exit_code == 1


def test_an_event_that_some_turn_of_the_project_triggers_has_a_cause(project: Path) -> None:
    (project / "shop").mkdir()
    (project / "shop" / "__init__.py").touch()
    parrot = PARROT.replace("(idle, STAY)", "(idle, STAY, on=Feed)").replace(
        "\n\n\nclass Parrot", "\nfrom attrs import frozen\n@frozen\nclass Feed: ...\nclass Parrot"
    )
    (project / "shop" / "parrot.py").write_text(parrot)
    (project / "shop" / "keeper.py").write_text("def feed(turn):\n    turn.trigger(Feed())\n")

    result = lint("shop")

    assert places(result) == [("shop/parrot.py:7:", "SL202")]


def test_programs_and_workflows_get_the_same_in_their_own_form(project: Path) -> None:
    (project / "parrot.py").write_text(PARROT)

    [first, _] = json.loads(lint("parrot", "--format", "json").output)
    assert (first["path"], first["line"], first["code"]) == ("parrot.py", 6, "SL202")
    assert first["severity"] == "warning"
    assert lint("parrot", "--format", "github").output.startswith(
        "::warning file=parrot.py,line=6,title=SL202::Parrot.repeat: at idle it takes every"
    )


def test_a_folder_stands_for_all_its_modules_but_the_tests(project: Path) -> None:
    for name, text in (("a.py", GOOD), ("b.py", PARROT), ("test_c.py", BAD)):
        (project / name).write_text(text)

    assert {place.split(":")[0] for place, _ in places(lint("."))} == {"b.py"}


def test_two_flows_that_answer_one_command_are_told_with_both_names(project: Path) -> None:
    (project / "one.py").write_text(GOOD)
    (project / "two.py").write_text(GOOD.replace("Greeter", "Rival"))

    result = lint("one", "two")

    assert places(result) == [("two.py:6:", "SL302")]
    assert "the command 'greet' is one:Greeter's too" in result.output


def test_the_flows_of_a_config_are_checked(project: Path) -> None:
    (project / "orders.py").write_text(BAD)
    (project / "config.yaml").write_text("flows:\n  - orders:Order\n")

    assert "SL114" in lint("--config", "config.yaml").output


@pytest.mark.parametrize(
    ("target", "code", "expected"),
    [
        ("nowhere", "", "'nowhere' can't be imported: no module 'nowhere'"),
        ("nowhere.py", "", "'nowhere.py' is no file"),
        ("broken.py", "1 / 0\n", "ZeroDivisionError: division by zero"),
        ("empty.py", "x = 1\n", "'empty.py' has no flow in it; name what has"),
    ],
)
def test_what_can_not_be_imported_is_told_in_one_line(
    project: Path, target: str, code: str, expected: str
) -> None:
    if code:
        (project / target).write_text(code)

    result = lint(target)

    assert result.exit_code == 1
    assert expected in result.output
    assert "Traceback" not in result.output


def test_the_bots_own_flows_have_no_findings() -> None:
    assert lint("--strict").output == "nothing is wrong\n"


def test_every_code_is_explained() -> None:
    root = Path(__file__).parent.parent.parent.parent.parent
    page = (root / "docs" / "reference" / "lint.md").read_text(encoding="utf-8")
    sources = [*(root / "fsm").rglob("*.py"), *(root / "strandline" / "authoring").glob("*.py")]
    codes = {code for path in sources for code in re.findall(r'"(SL\d{3})"', path.read_text())}

    assert codes == set(re.findall(r"^\| (SL\d{3}) \|", page, re.MULTILINE))
