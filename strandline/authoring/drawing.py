"""Writes diagrams of flows into files: one for each flow, and an overview."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from fsm import Flow
from fsm.diagrams import as_json, dot, mermaid, overview, page, table
from fsm.diagrams.as_json import description
from strandline.authoring.rendering import NotDrawn, render

Flows = Sequence[type[Flow]]

INDEX = "index"
"""The name, without its suffix, of the file with the overview of all flows."""


@frozen(kw_only=True)
class Form:
    """One output format of diagrams.

    Args:
        suffix: The suffix of files in this format, such as ``.svg``.
        one: Called with a flow. Returns the flow's diagram.
        overview: Called with all flows. Returns the overview of them.
        file: Called with a flow. Returns the content of the flow's own file, if a file has more
            than the diagram. None if ``one`` draws the file, too.
    """

    suffix: str
    one: Callable[[type[Flow]], bytes]
    overview: Callable[[Flows], bytes]
    file: Callable[[type[Flow]], bytes] | None = None


def _all_json(flows: Flows) -> str:
    return json.dumps([description(flow) for flow in flows], indent=2, ensure_ascii=False) + "\n"


def _all_tables(flows: Flows) -> str:
    return "\n".join(f"## {flow.__name__}\n\n{table(flow)}" for flow in flows)


FORMS: Mapping[str, Form] = {
    "mermaid": Form(
        suffix=".md",
        one=lambda flow: mermaid(flow).encode(),
        overview=lambda flows: overview(flows).encode(),
        file=lambda flow: page(flow).encode(),
    ),
    "dot": Form(
        suffix=".dot",
        one=lambda flow: dot([flow]).encode(),
        overview=lambda flows: dot(flows).encode(),
    ),
    "svg": Form(
        suffix=".svg",
        one=lambda flow: render(dot([flow]), "svg"),
        overview=lambda flows: render(dot(flows), "svg"),
    ),
    "png": Form(
        suffix=".png",
        one=lambda flow: render(dot([flow]), "png"),
        overview=lambda flows: render(dot(flows), "png"),
    ),
    "table": Form(
        suffix=".md",
        one=lambda flow: table(flow).encode(),
        overview=lambda flows: _all_tables(flows).encode(),
    ),
    "json": Form(
        suffix=".json",
        one=lambda flow: as_json(flow).encode(),
        overview=lambda flows: _all_json(flows).encode(),
    ),
}
"""The formats that ``strandline diagram`` knows."""


def files(flows: Flows, form: str) -> dict[str, bytes]:
    """Draw the flows; return the content of each file by the file's name.

    There is one file for each flow, and ``index`` with the overview of all flows.

    Args:
        flows: The flows.
        form: The name of a format in ``FORMS``.

    Raises:
        NotDrawn: Two flows have the same file name, or a diagram can't be drawn.
    """
    drawn = FORMS[form]
    draw = drawn.file or drawn.one
    made = {f"{INDEX}{drawn.suffix}": drawn.overview(flows)}
    for flow in flows:
        name = f"{flow.name}{drawn.suffix}"
        if name in made:
            path = f"{flow.__module__}:{flow.__qualname__}"
            problem = f"{path} would be drawn into {name}, as another is; give it a name of its own"
            raise NotDrawn(problem)
        made[name] = draw(flow)
    return made


def write(flows: Flows, form: str, folder: Path) -> None:
    """Draw the flows, and write the files into a folder, which is created if needed.

    Args:
        flows: The flows.
        form: The name of a format in ``FORMS``.
        folder: The folder.

    Raises:
        NotDrawn: Two flows have the same file name, or a diagram can't be drawn.
    """
    drawn = files(flows, form)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in drawn.items():
        (folder / name).write_bytes(content)


def out_of_date(flows: Flows, form: str, folder: Path) -> list[Path]:
    """Return the paths of files in a folder that are missing, outdated or belong to no flow.

    Args:
        flows: The flows.
        form: The name of a format in ``FORMS``.
        folder: The folder into which ``write`` writes the files.

    Raises:
        NotDrawn: Two flows have the same file name, or a diagram can't be drawn.
    """
    drawn = files(flows, form)
    found = {path.name for path in folder.glob(f"*{FORMS[form].suffix}")}
    return [
        folder / name
        for name in sorted(drawn.keys() | found)
        if name not in found or (folder / name).read_bytes() != drawn.get(name)
    ]
