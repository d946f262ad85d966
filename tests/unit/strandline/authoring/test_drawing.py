import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from strandline.authoring import rendering
from strandline.authoring.rendering import NoRenderer, NotDrawn, render
from strandline.cli.main import cli
from strandline.flows.builtin import FLOWS
from strandline.installation import pip_install

DOCS = Path(__file__).parent.parent.parent.parent.parent / "docs" / "flows"

FLOW = """\
from strandline import Event, Flow, State, ephemeral, minutes


class Greeter(Flow):
    idle = State(initial=True)
    waiting = State(ephemeral, expires=minutes(1))
    greet = Event(idle, waiting, command="greet")
    done = Event(waiting, idle, reaction="✅")
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path, before = list(sys.path), set(sys.modules)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "greeting.py").write_text(FLOW)
    yield tmp_path
    sys.path[:] = path
    for module in set(sys.modules) - before:
        del sys.modules[module]


def diagram(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["diagram", *arguments])


def test_the_pictures_in_the_docs_are_those_of_the_flows() -> None:
    result = diagram("--check", "--output", str(DOCS))

    assert result.exit_code == 0, f"{result.output}\nmake diagrams draws them anew"


def test_a_flow_is_drawn_by_its_import_path(project: Path) -> None:
    del project
    result = diagram("greeting:Greeter")

    assert result.output.startswith("flowchart LR\n")
    assert 's_idle -- "greet: !greet" --> s_waiting' in result.output


@pytest.mark.parametrize("name", ["room", "RoomRouting"])
def test_an_own_flow_is_drawn_by_its_name(name: str) -> None:
    assert "`archived`" in diagram(name, "--format", "table").output


@pytest.mark.parametrize(
    ("form", "suffix"), [("mermaid", "md"), ("dot", "dot"), ("json", "json"), ("table", "md")]
)
def test_each_flow_has_a_file_and_all_have_one_that_check_compares(
    project: Path, form: str, suffix: str
) -> None:
    arguments = ("--format", form, "--output", "pictures")
    assert diagram(*arguments, "--check").exit_code == 1

    assert diagram(*arguments).exit_code == 0

    names = {path.name for path in (project / "pictures").iterdir()}
    assert names == {f"index.{suffix}", *(f"{flow.name}.{suffix}" for flow in FLOWS)}
    assert diagram(*arguments, "--check").exit_code == 0
    (project / "pictures" / f"held.{suffix}").write_text("old")
    stale = diagram(*arguments, "--check")
    assert stale.exit_code == 1
    assert f"pictures/held.{suffix} is out of date; draw without --check" in stale.output
    assert diagram(*arguments).exit_code == 0
    (project / "pictures" / f"gone.{suffix}").write_text("of a flow that is gone")
    stale = diagram(*arguments, "--check")
    assert f"pictures/gone.{suffix} is out of date; draw without --check, or delete it" in (
        stale.output
    )


def test_the_flows_of_a_config_are_drawn(project: Path) -> None:
    (project / "config.yaml").write_text(
        "homeserver: {url: 'http://h', user_id: '@b:h', password: '${SECRET}'}\n"
        "agents: [{id: a, kind: echo}]\n"
        "flows: ['greeting:Greeter']\n"
    )

    assert "!greet" in diagram("--config", "config.yaml").output


def test_two_flows_are_not_drawn_into_one_file(project: Path) -> None:
    (project / "other.py").write_text(FLOW.replace("    idle", '    name = "index"\n    idle', 1))

    result = diagram("greeting:Greeter", "other:Greeter", "--output", "pictures")

    assert result.exit_code == 1
    assert "other:Greeter would be drawn into index.md, as another is; give it a" in result.output
    assert not (project / "pictures").exists()


def test_a_folder_that_can_not_be_made_is_told_in_one_line(project: Path) -> None:
    del project
    result = diagram("greeting:Greeter", "--output", "greeting.py/pictures")

    assert result.exit_code == 1
    assert "Not a directory" in result.output


def test_svg_has_the_states_and_is_the_same_each_time(project: Path) -> None:
    del project
    first, again = (diagram("greeting:Greeter", "--format", "svg").output for _ in range(2))

    elements = ET.fromstring(first).iter()  # noqa: S314  # our own
    texts = [element.text for element in elements if element.tag.endswith("text")]
    assert {"idle", "waiting", "greet: !greet", "done: ✅", "restart", "round: idle"} <= set(texts)
    assert first == again


def test_png_is_drawn_into_a_file_the_same_each_time(project: Path) -> None:
    for folder in ("one", "two"):
        assert diagram("greeting:Greeter", "--format", "png", "--output", folder).exit_code == 0

    one, two = ((project / folder / "greeter.png").read_bytes() for folder in ("one", "two"))
    width, height = struct.unpack(">II", one[16:24])
    assert one[:4] == b"\x89PNG"
    assert width > 300
    assert height > 200
    assert one == two


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--check",), "--check compares files; say with --output where they are"),
        (("--format", "png"), "a PNG is no text; say with --output where to write it"),
        (("--format", "svg"), "several pictures are several files"),
        (("nowhere:Flow",), "no module 'nowhere'"),
        (("roam",), "'roam' is no import path; write package.module:FlowClass"),
    ],
)
def test_what_can_not_be_drawn_is_told_in_one_line(
    arguments: tuple[str, ...], expected: str
) -> None:
    result = diagram(*arguments)

    assert result.exit_code != 0
    assert expected in result.output
    assert "Traceback" not in result.output


def test_without_anything_that_draws_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(rendering, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(NoRenderer, match=re.escape(pip_install("diagrams"))):
        render("digraph {}", "svg")


def test_what_graphviz_can_not_draw_is_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(NotDrawn, match="--format dot or mermaid gives its text"):
        render("no graph", "svg")

    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\necho syntax error >&2\nexit 1\n")
    program.chmod(0o700)
    monkeypatch.setattr(rendering, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotDrawn, match="syntax error"):
        render("no graph", "svg")


def test_graphviz_itself_is_used_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "dot"
    program.write_text(f"#!{sys.executable}\nimport sys\nprint(sys.argv[1], sys.stdin.read())\n")
    program.chmod(0o700)
    monkeypatch.setattr(rendering, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert render("digraph {}", "png") == b"-Tpng digraph {}\n"
