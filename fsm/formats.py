"""Format specifications for flow classes: ``f"{Rota:mermaid}"``."""

from collections.abc import Callable
from typing import Any

FORMATS: dict[str, Callable[[Any], str]] = {}
"""Functions by format name. Each is called with a flow class and returns the formatted text.
``fsm.diagrams`` adds them."""


class FlowType(type):
    """The metaclass of flows. It makes ``f"{Rota:mermaid}"`` the diagram of the flow ``Rota``."""

    def __format__(cls, spec: str) -> str:
        if not spec:
            return str(cls)
        if spec not in FORMATS:
            message = f"{spec!r} is no format of a flow; known are {', '.join(sorted(FORMATS))}"
            raise ValueError(message)
        return FORMATS[spec](cls)
