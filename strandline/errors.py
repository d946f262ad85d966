"""What keeps the bot from starting.

::

    StrandlineError
    └── ConfigError             the config can't be used; every problem is listed
"""

from attrs import frozen

from fsm.errors import StrandlineError


@frozen(slots=False)
class ConfigError(StrandlineError):
    """The config file can't be used. One line for each problem."""

    problems: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.problems)
