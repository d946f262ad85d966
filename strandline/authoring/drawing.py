"""Flows drawn into files: a file for each, and one for all of them."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from fsm import Flow
from fsm.pictures import as_json, dot, mermaid, overview, page, table
from fsm.pictures.as_json import description
from strandline.authoring.rendering import render

Flows = Sequence[type[Flow]]


@frozen(kw_only=True)
class Form:
    """One format.

    Args:
        suffix: Of its files.
        one: Draws one flow.
        overview: Draws all of them.
        file: Draws one flow for a file of its own, where that is more than ``one``.
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
    """What the files are called, and what is in them. ``index`` has all flows."""
    drawn = FORMS[form]
    draw = drawn.file or drawn.one
    return {f"index{drawn.suffix}": drawn.overview(flows)} | {
        f"{flow.name}{drawn.suffix}": draw(flow) for flow in flows
    }


def write(flows: Flows, form: str, folder: Path) -> None:
    """Write the files into a folder, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files(flows, form).items():
        (folder / name).write_bytes(content)


def out_of_date(flows: Flows, form: str, folder: Path) -> list[Path]:
    """The files that are missing from the folder, or are not what ``write`` would write."""
    return [
        folder / name
        for name, content in files(flows, form).items()
        if not (folder / name).is_file() or (folder / name).read_bytes() != content
    ]
