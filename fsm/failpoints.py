"""Named instants at which a test may kill the process.

``reach("commit.begin")`` does nothing until a test installs a hook. The names are string literals,
so that a test can list them from the source.
"""

from collections.abc import Callable


def _pass(_name: str) -> None:
    """The default hook: does nothing."""


_hook: Callable[[str], None] = _pass


def reach(name: str) -> None:
    """Call the installed hook with the name of this failpoint."""
    _hook(name)


def install(hook: Callable[[str], None]) -> None:
    """Install ``hook``: it is called with the name of every failpoint that is reached."""
    global _hook  # noqa: PLW0603  # one process, one hook, set before the bot starts
    _hook = hook
