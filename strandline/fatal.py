"""Death on request: what lets a test kill the process at a named instant."""

import os
import signal
from collections import Counter
from collections.abc import Mapping

from fsm import failpoints

VARIABLE = "STRANDLINE_FAILPOINT"
"""``NAME`` or ``NAME:N``: SIGKILL from inside when the point is reached for the N-th time."""


def arm(environment: Mapping[str, str]) -> None:
    """Install the failpoint that the environment names, if it names one."""
    wanted = environment.get(VARIABLE)
    if not wanted:
        return
    name, _, number = wanted.partition(":")
    fatal = int(number or 1)
    reached: Counter[str] = Counter()

    def die(at: str) -> None:
        reached[at] += 1
        if at == name and reached[at] == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    failpoints.install(die)
