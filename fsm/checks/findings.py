"""Findings about a flow's class body: raised as errors, or collected for ``lint``."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum

from attrs import frozen

from fsm.errors import FlowError


class Severity(Enum):
    """How serious a finding is."""

    ERROR = "error"
    """The class can't be defined."""

    WARNING = "warning"
    """It may be intended."""


@frozen(kw_only=True)
class Finding:
    """One thing that is wrong.

    Args:
        code: ``SL`` and three digits, the same in every release.
        flow: The flow's class.
        where: The name in its body that it is about.
        problem: What is wrong.
        remedy: What to do about it.
        severity: What it means.
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
    """Collect the findings of all flows that are defined in the context, in a list.

    A class with errors is defined too, but can't be used.
    """
    flawed: list[LintResult] = []
    token = _collected.set(flawed)
    try:
        yield flawed
    finally:
        _collected.reset(token)


def report(cls: type, findings: list[Finding]) -> bool:
    """Raise the first error, or record all findings inside ``collecting``.

    Returns:
        Whether the class can be used.

    Raises:
        FlowError: The class body has an error.
    """
    collected = _collected.get()
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if collected is not None:
        collected.extend(LintResult(cls, finding) for finding in findings)
    elif errors:
        first = errors[0]
        raise FlowError(first.flow, first.where, first.problem, first.remedy)
    return not errors
