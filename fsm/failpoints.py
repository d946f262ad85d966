"""Named instants at which a test may kill the process.

``reach("commit.begin")`` does nothing until a test installs a hook. The names are string
literals, so that a test can read the list of them from the code.
"""

from collections.abc import Callable


def _pass(_name: str) -> None:
    """Go on."""


_hook: Callable[[str], None] = _pass


def reach(name: str) -> None:
    """Say that the program has come to the point called ``name``."""
    _hook(name)


def install(hook: Callable[[str], None]) -> None:
    """Have ``hook`` called with the name of every point that is reached from now on."""
    global _hook  # noqa: PLW0603  # one process, one hook, set before the bot starts
    _hook = hook
