"""What can go wrong: the errors of ``fsm/``, and the tree of all errors.

A module is named where it is another than that of the class above::

    StrandlineError             fsm.errors
    ├── FlowError
    ├── NoSuchTransition
    ├── NoSuchEvent
    ├── TurnError
    ├── StoreError              durable.store.errors
    │   ├── StoreUnavailable
    │   ├── DatabaseMoved
    │   ├── StoreDamaged
    │   ├── StoreDefect
    │   ├── StoreClosed
    │   ├── FolderNotWritable
    │   ├── NotOurDatabase
    │   ├── NewerSchema
    │   ├── DataFolderInUse
    │   ├── CorruptValue
    │   ├── Conflict
    │   └── AlreadyHandled
    ├── AgentFailed             ephemeral.agents.api
    ├── MatrixError             matrix.api.errors
    │   ├── Unreachable
    │   ├── RateLimited
    │   ├── TokenRevoked
    │   ├── LoginRefused
    │   ├── Refused
    │   ├── NotEncryptable
    │   ├── Spoiled
    │   ├── StoreFailed
    │   ├── StoreMoved
    │   └── SessionUnusable
    ├── ConfigError             strandline.config.errors
    ├── PackageClash            strandline.config.errors
    ├── NotFound                strandline.flows.discovery
    ├── NotDrawn                strandline.authoring.rendering
    │   └── NoRenderer
    ├── NotStarted              strandline.authoring.starting
    └── KitError                strandline.testing.errors
        ├── SynapseMissing
        └── NotSeen

``docs/errors.md`` says of each when it is raised and what to do next.
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


@frozen(slots=False, kw_only=True)
class NoSuchEvent(StrandlineError):
    """A turn named an event of a flow that does not run, or one that the flow does not have.

    Args:
        asker: What named it: a flow's name, or ``FlowClass.method`` if it was read in its source.
        flow: The name of the flow that was meant.
        event: The name of the event or signal that was meant.
        running: The names of the flows that run.
        events: The events and signals of the flow that was meant, by name; none if it does not run.
    """

    asker: str
    flow: str
    event: str
    running: tuple[str, ...]
    events: tuple[str, ...] = ()

    @property
    def is_running(self) -> bool:
        """Whether the flow that was meant runs, so that only the event is missing."""
        return self.flow in self.running

    @property
    def problem(self) -> str:
        """What is wrong."""
        named = f"it names {f'{self.flow}.{self.event}'!r}"
        if self.is_running:
            has = f"it has {', '.join(self.events)}"
            return f"{named}, and flow {self.flow!r} has no event or signal {self.event!r} ({has})"
        return f"{named}, and no flow {self.flow!r} runs (running are {', '.join(self.running)})"

    @property
    def remedy(self) -> str:
        """What to do about it."""
        if self.is_running:
            return "mend the name, or add the event to that flow"
        return "add that flow to `flows:` in the config, in a test to Rehearsal, or mend the name"

    def __str__(self) -> str:
        return f"{self.asker}: {self.problem}; {self.remedy}"


@frozen(slots=False)
class TurnError(StrandlineError):
    """A handler asked its turn for something that a turn can't promise."""

    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}"
