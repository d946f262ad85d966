"""Flows in other people's docs: a Sphinx project and an MkDocs site, each built strictly."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from strandline.authoring.embedding import expanded, svg
from strandline.flows.discovery import NotFound, flow_at

FLOW = '''\
from strandline import Event, Flow, State, durable, ephemeral, minutes


class Greeter(Flow):
    """Greet people & wait."""

    idle = State(initial=True)
    waiting = State(ephemeral, expires=minutes(1))
    known = State(durable)
    greet = Event(idle, waiting, command="greet")
    done = Event(waiting, known, reaction="✅")
    forget = Event(known, idle, command="forget")
'''

MKDOCS = """\
site_name: Greetings
strict: true
plugins: [{plugin}]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "greeting.py").write_text(FLOW)
    (tmp_path / "docs").mkdir()
    return tmp_path


def run(project: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603  # the builders
        [sys.executable, "-m", *command], cwd=project, capture_output=True, text=True, check=False
    )


def mkdocs(project: Path, page: str, *, plugin: str = "strandline") -> tuple[int, str, str]:
    """Exit code, output, and the page."""
    (project / "mkdocs.yml").write_text(MKDOCS.format(plugin=plugin))
    (project / "docs" / "index.md").write_text(page)
    done = run(project, "mkdocs", "build", "--strict")
    built = project / "site" / "index.html"
    return done.returncode, done.stdout + done.stderr, built.read_text() if built.exists() else ""


def sphinx(project: Path, page: str, *, builder: str = "html") -> tuple[int, str, str]:
    """Exit code, output, and the page."""
    (project / "docs" / "conf.py").write_text(
        "import sys\nsys.path.insert(0, '..')\nextensions = ['strandline.authoring.sphinx']\n"
    )
    (project / "docs" / "index.rst").write_text(f"Greetings\n=========\n\n{page}\n")
    done = run(project, "sphinx", "-W", "-b", builder, "docs", "built")
    built = project / "built" / ("index.html" if builder == "html" else "index.txt")
    return done.returncode, done.stdout + done.stderr, built.read_text() if built.exists() else ""


BLOCK = "# Greetings\n\n```strandline-flow\ngreeting:Greeter\n```\n\nThe end.\n"


def test_mkdocs_draws_the_flow_with_its_table(project: Path) -> None:
    code, output, page = mkdocs(project, BLOCK)

    assert code == 0, output
    assert 'aria-label="Greeter: Greet people &amp; wait."' in page
    assert "greet: !greet" in page
    assert "<th>what the user sees</th>" in page
    assert "<p>The end.</p>" in page
    assert "strandline-flow\n" not in page


def test_mkdocs_leaves_the_drawing_to_the_pages_script_if_it_is_told_so(project: Path) -> None:
    code, output, page = mkdocs(project, BLOCK, plugin="{strandline: {format: mermaid}}")

    assert code == 0, output
    assert "flowchart LR" in page
    assert "<svg" not in page


def test_mkdocs_names_the_page_whose_flow_is_not_there(project: Path) -> None:
    code, output, _ = mkdocs(project, BLOCK.replace("Greeter", "Grumbler"))

    assert code != 0
    assert "index.md: 'greeting:Grumbler' can't be imported: module 'greeting' has no" in output
    assert "Traceback" not in output


def test_sphinx_draws_the_flow_with_its_table(project: Path) -> None:
    code, output, page = sphinx(project, ".. strandline-flow:: greeting:Greeter")

    assert code == 0, output
    assert "greet: !greet" in page
    assert "what the user sees" in page
    assert '<code class="docutils literal notranslate"><span class="pre">idle</span></code>' in page
    assert "flowchart LR" not in page


def test_sphinx_leaves_out_the_table_if_it_is_told_so(project: Path) -> None:
    page = ".. strandline-flow:: greeting:Greeter\n   :no-table:"

    _, _, built = sphinx(project, page)

    assert "greet: !greet" in built
    assert "what the user sees" not in built


def test_sphinx_gives_the_pictures_text_where_pages_are_no_html(project: Path) -> None:
    code, output, page = sphinx(project, ".. strandline-flow:: greeting:Greeter", builder="text")

    assert code == 0, output
    assert "flowchart LR" in page
    assert "<svg" not in page


def test_sphinx_names_the_line_whose_flow_is_not_there(project: Path) -> None:
    code, output, _ = sphinx(project, ".. strandline-flow:: greeting:Grumbler")

    assert code != 0
    assert "index.rst:4: 'greeting:Grumbler'" in output
    assert "'greeting:Grumbler' can't be imported: module 'greeting' has no" in output


def test_sphinx_draws_a_flow_again_whose_module_has_changed(project: Path) -> None:
    page = ".. strandline-flow:: greeting:Greeter"
    sphinx(project, page)
    (project / "greeting.py").write_text(FLOW.replace('"greet"', '"welcome"'))

    done = run(project, "sphinx", "-W", "docs", "built")

    assert done.returncode == 0, done.stderr
    assert "greet: !welcome" in (project / "built" / "index.html").read_text()


def test_a_picture_told_with_angle_brackets_can_stand_in_strict_xml(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "bracketed.py").write_text(FLOW.replace("Greet people & wait", "Greet <people>"))
    monkeypatch.syspath_prepend(project)

    drawn = ET.fromstring(svg(flow_at("bracketed:Greeter")))  # noqa: S314  # drawn here

    assert drawn.get("aria-label") == "Greeter: Greet <people>."


def test_a_block_keeps_its_place_in_a_list(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(project)

    text = expanded(
        "- a\n\n    ~~~ strandline-flow\n    greeting:Greeter\n    ~~~\n", form="mermaid"
    )

    assert text.startswith("- a\n\n    ```mermaid\n    flowchart LR\n")
    assert "\n    | state | tier |" in text


def test_other_blocks_are_left_as_they_are() -> None:
    page = "```python\nx = 1\n```\n\n````\n```strandline-flow\nx\n```\n````\n"

    assert expanded(page) == page
    with pytest.raises(NotFound):
        expanded("```strandline-flow\nnowhere\n```")
