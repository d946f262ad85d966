"""The errors that ``fsm/`` raises, and the tree of all errors of Strandline.

The tree names a class's module if the class above it is in another module::

    StrandlineError             fsm.errors
    ├── FlowError
    ├── NoSuchTransition
    ├── TurnError
    ├── UnansweredSignal
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
    │   ├── FileCorrupted
    │   ├── StoreFailed
    │   ├── StoreMoved
    │   └── SessionUnusable
    ├── SessionFileFailed       matrix.api.errors
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
    """Base class of all errors that Strandline raises on purpose."""


@frozen(slots=False)
class FlowError(StrandlineError):
    """A flow is declared wrongly.

    Raised when the class is defined, or when a handler returns data that its target state does not
    carry.

    Args:
        flow: The name of the flow's class.
        where: The name in the class body that is wrong: a state, an event or a method.
        problem: What is wrong.
        remedy: What to do about it.
    """

    flow: str
    where: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.flow}.{self.where}: {self.problem}; {self.remedy}"


@frozen(slots=False)
class NoSuchTransition(StrandlineError):
    """A signal was triggered that the flow's current state does not answer.

    Args:
        flow: The flow's name.
        state: Its current state.
        signal: The name of the signal's class.
    """

    flow: str
    state: str
    signal: str

    def __str__(self) -> str:
        return (
            f"{self.flow}: state {self.state!r} does not answer {self.signal}; "
            f"add an event with on={self.signal} to it, or do not trigger it there"
        )


@frozen(slots=False, kw_only=True)
class UnansweredSignal(StrandlineError):
    """A turn triggered a signal that no flow of the bot answers.

    Args:
        asker: Who triggers the signal: the name of a flow, or ``FlowClass.method`` if the linter
            found the trigger in the method's source.
        signal: The name of the signal's class.
        running: The names of the bot's flows.
        elsewhere: The names of flow classes that answer the signal but are not flows of the bot.
    """

    asker: str
    signal: str
    running: tuple[str, ...]
    elsewhere: tuple[str, ...] = ()

    @property
    def problem(self) -> str:
        """What is wrong."""
        running = f"running are {', '.join(self.running)}"
        if self.elsewhere:
            flow = " or ".join(self.elsewhere)
            return (
                f"it triggers {self.signal}, and {flow}, which answers it, does not run ({running})"
            )
        return f"it triggers {self.signal}, and no event of a flow names that class ({running})"

    @property
    def remedy(self) -> str:
        """What to do about it."""
        if self.elsewhere:
            return "add that flow to `flows:` in the config, or in a test to Rehearsal"
        return f"write on={self.signal} in the event that answers it"

    def __str__(self) -> str:
        return f"{self.asker}: {self.problem}; {self.remedy}"


@frozen(slots=False)
class TurnError(StrandlineError):
    """A handler requested something that a turn does not allow.

    Args:
        problem: What is wrong.
        remedy: What to do about it.
    """

    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}"
