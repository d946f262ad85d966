"""Errors that keep the bot from starting. ``fsm.errors`` has the tree of all errors."""

from attrs import frozen

from fsm.errors import StrandlineError


@frozen(slots=False)
class ConfigError(StrandlineError):
    """The config file can't be used. ``problems`` has one line for each problem."""

    problems: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.problems)


@frozen(slots=False)
class PackageClash(StrandlineError):
    """A top-level package of Strandline is hidden or overwritten by another distribution's."""

    problem: str

    def __str__(self) -> str:
        return self.problem
