"""Errors of the testing kit. ``fsm.errors`` has the tree of all errors."""

from attrs import frozen

from fsm.errors import StrandlineError
from strandline.installation import pip_install


@frozen(slots=False)
class KitError(StrandlineError):
    """The testing kit could not do what a test requested, often because a process failed.

    Args:
        what: The problem.
        output: The end of the failed process's output; empty if no output is to be shown.
    """

    what: str
    output: str = ""

    def __str__(self) -> str:
        return f"{self.what}; its last words:\n{self.output}" if self.output else self.what


@frozen(slots=False)
class SynapseMissing(KitError):
    """matrix-synapse is not installed."""

    what: str = "no Synapse is installed"

    def __str__(self) -> str:
        return f"no Synapse is installed; install the extra: {pip_install('test')}"


@frozen(slots=False)
class NotSeen(KitError):
    """A test waited for something that did not arrive in time, or saw a message it should not see.

    Args:
        heading: The words before ``output`` in the error's text. ``output`` is what the room has
            instead.
    """

    heading: str = "the room holds"

    def __str__(self) -> str:
        return f"{self.what}; {self.heading}:\n{self.output}" if self.output else self.what
