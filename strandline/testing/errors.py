"""Errors of the testing kit. ``fsm.errors`` has the tree of all errors."""

from attrs import frozen

from fsm.errors import StrandlineError
from strandline.installation import pip_install


@frozen(slots=False)
class KitError(StrandlineError):
    """A process of the testing kit failed. The message has the end of its output."""

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
    """A test waited for a message that did not arrive in time."""

    heading: str = "the room holds"

    def __str__(self) -> str:
        return f"{self.what}; {self.heading}:\n{self.output}" if self.output else self.what
