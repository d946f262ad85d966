"""The command ``lint``."""

import json
import sys
from pathlib import Path

import click
from attrs import asdict

from fsm.checks.findings import Severity
from strandline.authoring.linting import LocatedFinding
from strandline.authoring.linting import lint as lint_flows
from strandline.config.file import flows_named_in
from strandline.flows.discovery import NotFound, can_import_from


@click.command()
@click.argument("targets", metavar="[MODULE|FILE|FOLDER]…", nargs=-1)
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="Check the flows of this config, too.",
)
@click.option(
    "--format",
    "as_",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="For people, for programs, or as annotations of a GitHub workflow.",
)
@click.option("--strict", is_flag=True, help="End with exit code 1 for warnings, too.")
def lint(targets: tuple[str, ...], config_path: Path | None, as_: str, *, strict: bool) -> None:
    """Report all problems in flows; by default in the built-in ones.

    Ends with exit code 1 if there are errors.
    """
    can_import_from(Path.cwd())
    running = None
    if config_path is not None:
        can_import_from(config_path.parent.absolute())
        running = flows_named_in(config_path)
    try:
        findings = lint_flows([*targets, *(running or ())], running)
    except NotFound as error:
        raise click.ClickException(str(error)) from error
    _print(findings, as_)
    severities = {each.finding.severity for each in findings}
    if Severity.ERROR in severities or (strict and severities):
        sys.exit(1)


def _print(findings: list[LocatedFinding], as_: str) -> None:
    if as_ == "json":
        click.echo(json.dumps([_plain(each) for each in findings], indent=2, ensure_ascii=False))
        return
    for each in findings:
        click.echo(_github(each) if as_ == "github" else _line(each))
    if as_ == "text":
        plural = "" if len(findings) == 1 else "s"
        click.echo(f"{len(findings)} finding{plural}" if findings else "nothing is wrong")


def _line(located: LocatedFinding) -> str:
    severity = (
        "" if located.finding.severity is Severity.ERROR else f" {located.finding.severity.value}:"
    )
    return (
        f"{_shown(located.path)}:{located.line}: {located.finding.code}{severity} {located.finding}"
    )


def _github(located: LocatedFinding) -> str:
    """The finding as a workflow command (GitHub Actions, "Workflow commands")."""
    place = f"file={_shown(located.path)},line={located.line},title={located.finding.code}"
    message = str(located.finding).replace("%", "%25")
    return f"::{located.finding.severity.value} {place}::{message}"


def _plain(located: LocatedFinding) -> dict[str, object]:
    finding = asdict(located.finding) | {"severity": located.finding.severity.value}
    return {"path": _shown(located.path), "line": located.line, **finding}


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
