"""Findings about flow classes: raised as errors, or collected for ``strandline lint``."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum

from attrs import frozen

from fsm.errors import FlowError


class Severity(Enum):
    """How serious a finding is."""

    ERROR = "error"
    """Something is wrong. If the class body is, the class can't be defined."""

    WARNING = "warning"
    """Something is probably wrong, but may be intended."""


@frozen(kw_only=True)
class Finding:
    """One thing that is wrong with a flow class.

    Args:
        code: The code of this kind of finding: ``SL`` and three digits, the same in every release.
        flow: The name of the flow class.
        where: The name in the class body that is wrong: a state, an event, a method or ``name``.
        problem: What is wrong.
        remedy: What to do about it.
        severity: How serious the finding is.
    """

    code: str
    flow: str
    where: str
    problem: str
    remedy: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        return f"{self.flow}.{self.where}: {self.problem}; {self.remedy}"


@frozen
class LintResult:
    """A flow class with one finding about it."""

    cls: type
    finding: Finding


_collected: ContextVar[list[LintResult] | None] = ContextVar("collected", default=None)


@contextmanager
def collecting() -> Iterator[list[LintResult]]:
    """Collect the findings about all flow classes that are defined in the ``with`` block.

    In the block, a class with errors raises no ``FlowError``. It is defined, but can't be used.

    Yields:
        The list to which the findings are added.
    """
    flawed: list[LintResult] = []
    token = _collected.set(flawed)
    try:
        yield flawed
    finally:
        _collected.reset(token)


def report(cls: type, findings: list[Finding]) -> bool:
    """Raise the first error among the findings, or collect them if inside ``collecting``.

    Args:
        cls: The flow class.
        findings: The findings about it.

    Returns:
        Whether the class can be used: it has no error.

    Raises:
        FlowError: The class has an error, and this is not inside ``collecting``.
    """
    collected = _collected.get()
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if collected is not None:
        collected.extend(LintResult(cls, finding) for finding in findings)
    elif errors:
        first = errors[0]
        raise FlowError(first.flow, first.where, first.problem, first.remedy)
    return not errors
