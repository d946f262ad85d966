"""How much work something is, by what it runs and not by how long the machine takes."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")


class TooManySteps(AssertionError):
    """The work goes on, after as many steps as it may take."""


def within_steps(most: int, work: Callable[[], T]) -> T:
    """What the work returns, if it runs no more lines of Python than these."""
    steps = 0

    def count(_frame: FrameType, _event: str, _arg: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps > most:
            raise TooManySteps(most)
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        return work()
    finally:
        sys.settrace(before)
