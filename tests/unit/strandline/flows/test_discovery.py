import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from strandline.config.errors import ConfigError
from strandline.config.model import Config, load_config
from strandline.flows import discovery
from strandline.flows.discovery import agent_kind, agent_kinds, make_found
from strandline.installation import pip_install

GOOD = """\
homeserver:
  url: https://matrix.example.org
  user_id: "@bot:example.org"
  password: hunter2
agents:
  - id: agent-1
    kind: echo
"""

FLOW = """\
from attrs import frozen
from strandline import Event, Flow, State, STAY, ephemeral, minutes, on

@frozen
class Greet:
    pass

class Greeter(Flow):
    idle = State(initial=True)
    greet = Event(idle, STAY, command="greet", on=Greet)

class Needy(Flow):
    idle = State(initial=True)

    def __init__(self, address):
        self.address = address

class Usurper(Flow):
    idle = State(initial=True)
    take = Event(idle, STAY, command=("greet", "help", "grab"))

class Form(Flow):
    idle = State(initial=True)
    filling = State(ephemeral, expires=minutes(5))
    fill = Event(idle, filling, command="form")
    drop = Event(filling, idle, command="cancel")

class Rival(Flow):
    name = "greeter"
    idle = State(initial=True)

class Room(Flow):
    idle = State(initial=True)

class Frail(Flow):
    idle = State(initial=True)

    def __init__(self):
        raise OSError("no such file")

class Caller(Flow):
    idle = State(initial=True)
    call = Event(idle, STAY, command="call")

    @on(call)
    def put_through(self, turn, data):
        turn.trigger(Greet())

TEXT = "no flow"
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A folder with a module beside the config, which no other test has imported."""
    path = list(sys.path)
    name = f"flows_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(FLOW)
    yield tmp_path / f"{name}.py"
    sys.path[:] = path
    for loaded in [m for m in sys.modules if m.startswith("flows_") or m == "bad_flow"]:
        del sys.modules[loaded]


def load(project: Path, *paths: str) -> Config:
    listed = "".join(f"\n  - {path}" for path in paths) or " []"
    text = f"{GOOD}flows:{listed}\n"
    config = project.parent / "config.yaml"
    config.write_text(text)
    return load_config(config, {})


def problem(project: Path, *paths: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(project, *paths)
    return str(caught.value).replace(f"{project.parent}/", "")


def test_a_flow_beside_the_config_is_found_by_its_import_path(project: Path) -> None:
    config = load(project, f"{project.stem}:Greeter")

    [flow] = make_found(config.flows)
    assert flow.name == "greeter"


def test_a_flow_that_is_named_twice_is_one(project: Path) -> None:
    config = load(project, f"{project.stem}:Greeter", f"{project.stem}:Greeter")

    assert len(make_found(config.flows)) == 1


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("greeter", "is no import path; write package.module:FlowClass"),
        ("nowhere:Flow", "no module 'nowhere'; install it, or correct the path"),
        ("{m}:Nothing", "module '{m}' has no 'Nothing'; correct the path"),
        ("{m}:TEXT", "is no flow; name a class that is derived from strandline.Flow"),
        ("{m}:Flow", "is no flow; name a class that is derived from strandline.Flow"),
        ("{m}:Needy", "can't be made without address; give each a default"),
        (
            "{m}:Room",
            "it is called 'room', as durable.flows.room.flow:RoomRouting is; give it another",
        ),
    ],
)
def test_a_path_that_leads_to_no_flow_is_told_with_its_line(
    project: Path, path: str, expected: str
) -> None:
    told = problem(project, path.format(m=project.stem))

    assert told.startswith("config.yaml:9: flows[0]: ")
    assert expected.format(m=project.stem) in told


def test_two_flows_of_one_name_are_told_apart_by_their_paths(project: Path) -> None:
    told = problem(project, f"{project.stem}:Greeter", f"{project.stem}:Rival")

    assert told.startswith("config.yaml:10: flows[1]: ")
    assert f"it is called 'greeter', as {project.stem}:Greeter is" in told


def test_a_command_that_another_flow_answers_is_told_with_both_names(project: Path) -> None:
    told = problem(project, f"{project.stem}:Greeter", f"{project.stem}:Usurper")

    one, other = told.splitlines()
    assert one == (
        f"config.yaml:10: flows[1]: '{project.stem}:Usurper' take: the command 'greet' is "
        f"{project.stem}:Greeter's too; give one of the two another command"
    )
    assert "take: the command 'help' is strandline.flows.service:Service's too" in other


def test_a_flow_that_names_one_that_does_not_run_is_told_with_its_line(project: Path) -> None:
    caller, greeter = (f"{project.stem}:{name}" for name in ("Caller", "Greeter"))

    with pytest.raises(ConfigError) as error:
        load(project, caller)

    [problem] = error.value.problems
    assert "put_through: it triggers Greet, and Greeter, which answers it, does not run" in problem
    assert "add that flow to `flows:` in the config" in problem
    assert load(project, caller, greeter).flows == (caller, greeter)


def test_a_flow_that_can_not_be_found_is_not_also_told_as_missing(project: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load(project, f"{project.stem}:Caller", "nowhere:Greeter")

    [problem] = error.value.problems
    assert "no module 'nowhere'" in problem


def test_a_command_of_another_flow_may_be_answered_in_an_ephemeral_state(project: Path) -> None:
    config = load(project, f"{project.stem}:Form")

    assert [flow.name for flow in make_found(config.flows)] == ["form"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = 1 / 0\n", "ZeroDivisionError: division by zero (bad_flow.py:1)"),
        ("\nimport nowhere_at_all\n", "No module named 'nowhere_at_all' (bad_flow.py:2)"),
        ("x = (\n", "SyntaxError"),
        (
            "from strandline import Flow, State\nclass Bad(Flow):\n    begin = State()\n",
            "has 0; write idle = State(initial=True) and no other initial state (bad_flow.py:2)",
        ),
    ],
)
def test_what_a_module_raises_when_it_is_imported_is_told_with_its_own_line(
    project: Path, code: str, expected: str
) -> None:
    (project.parent / "bad_flow.py").write_text(code)

    told = problem(project, "bad_flow:Bad")

    assert expected in told
    assert "\n" not in told


def test_a_flow_that_can_not_be_made_is_told_at_start(project: Path) -> None:
    config = load(project, f"{project.stem}:Frail")

    with pytest.raises(discovery.NotFound, match=r"can't be made: OSError: no such file"):
        make_found(config.flows)


class ParrotKind:
    """A kind of agent, as another distribution would bring it."""


def _points(monkeypatch: pytest.MonkeyPatch, *points: EntryPoint) -> None:
    def entry_points(*, group: str) -> list[EntryPoint]:
        return [point for point in points if point.group == group]

    monkeypatch.setattr(discovery, "entry_points", entry_points)
    agent_kinds.cache_clear()


@pytest.fixture(autouse=True)
def _forget_kinds() -> Iterator[None]:
    yield
    agent_kinds.cache_clear()


def test_flows_of_installed_distributions_are_found_too(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(project)
    value = f"{project.stem}:Greeter"
    _points(monkeypatch, EntryPoint("greeter", value, discovery.FLOW_GROUP))

    assert [flow.name for flow in make_found([])] == ["greeter"]
    assert [flow.name for flow in make_found([value])] == ["greeter"]


def test_an_installed_flow_that_can_not_be_imported_is_told_without_a_line(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _points(monkeypatch, EntryPoint("greeter", "nowhere:Greeter", discovery.FLOW_GROUP))

    assert "strandline.flows: greeter" in problem(project)


def test_kinds_of_agent_come_from_installed_distributions_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    value = "ephemeral.agents.echo:EchoAgent"
    _points(monkeypatch, EntryPoint("parrot", value, discovery.AGENT_GROUP))

    assert set(agent_kinds()) == {"a2a", "echo", "http", "openai", "parrot"}
    assert agent_kind("parrot") is agent_kind("echo")


def test_what_is_no_kind_of_agent_is_told_where_it_is_used(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point: Any = EntryPoint("parrot", f"{__name__}:ParrotKind", discovery.AGENT_GROUP)
    monkeypatch.setitem(sys.modules, __name__, sys.modules[ParrotKind.__module__])
    _points(monkeypatch, point)
    config = project.parent / "config.yaml"
    config.write_text(GOOD.replace("echo", "parrot"))

    with pytest.raises(ConfigError, match=r"config.yaml:7: agents\[0\].kind: .*no kind of agent"):
        load_config(config, {})


def test_a_kind_whose_package_is_not_installed_names_what_to_install(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "ephemeral.agents.openai.agent", raising=False)
    monkeypatch.setitem(sys.modules, "openai", None)
    config = project.parent / "config.yaml"
    config.write_text(GOOD.replace("echo", "openai"))

    with pytest.raises(ConfigError) as caught:
        load_config(config, {})

    told = str(caught.value)
    assert "config.yaml:7: agents[0].kind: " in told
    assert f"needs 'openai', which is not installed; {pip_install('openai')}" in told
    assert told.count("agents[0]") == 1
