"""What can go wrong, as a tree with one root.

::

    StrandlineError
    ├── FlowError               a flow that can't be what its class body says
    ├── NoSuchTransition        an event that the present state does not answer
    ├── TurnError               a turn asked for two things that exclude one another
    ├── durable.errors.StoreError …
    ├── matrix.errors.MatrixError …
    └── strandline.errors …     config and start-up
"""

from attrs import frozen


class StrandlineError(Exception):
    """The root of every error that Strandline raises on purpose."""


@frozen(slots=False)
class FlowError(StrandlineError):
    """A flow's class body contradicts itself. Raised when the class is defined."""

    flow: str
    where: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.flow}.{self.where}: {self.problem}; {self.remedy}"


@frozen(slots=False)
class NoSuchTransition(StrandlineError):
    """An event arrived that the current state has no answer to."""

    flow: str
    state: str
    event: str

    def __str__(self) -> str:
        return (
            f"{self.flow}: {self.event!r} has no transition from {self.state!r}; "
            f"add one to the flow, or do not trigger it there"
        )


@frozen(slots=False)
class TurnError(StrandlineError):
    """A handler asked its turn for something that a turn can't promise."""

    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}"
