"""The command line. For an error that an operator can fix: a short message and exit code 2.

The module of a command is imported when the command is invoked: ``version`` needs no Matrix client.
"""

import logging
import os
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

import click

from fsm.errors import StrandlineError
from fsm.values.text import printable
from strandline.config.errors import PackageClash

COMMANDS: Mapping[str, tuple[str, str]] = {
    "config": ("strandline.cli.config:config", "Check the config."),
    "diagram": (
        "strandline.cli.diagram:diagram",
        "Draw flows: package.module:Class, or a built-in one by its name; by default all of these.",
    ),
    "lint": (
        "strandline.cli.lint:lint",
        "Report all problems in flows; by default in the built-in ones.",
    ),
    "new": (
        "strandline.cli.new:new",
        "Write a small project of your own into a new folder: a flow, its tests, its pictures.",
    ),
    "parked": (
        "strandline.cli.parked:parked",
        "List, retry or drop messages and requests that failed every time.",
    ),
    "run": ("strandline.cli.run:run", "Run the bot until SIGTERM or Ctrl-C."),
    "version": ("strandline.cli.version:version", "Print the version."),
}
"""The import path of each command, and the first sentence of its help."""


class LazyGroup(click.Group):
    """A group that lists its commands without importing them.

    Args:
        paths: For each command's name, its import path (``module:attribute``) and its short help.
        kwargs: Further arguments of ``click.Group``.
    """

    def __init__(self, paths: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        listed = [click.Command(name, help=text) for name, (_, text) in paths.items()]
        super().__init__(commands=listed, **kwargs)
        self._listing = click.Group(commands=listed)
        self._paths = paths

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command and return it; return None if there is no such command."""
        if cmd_name not in self._paths:
            return None
        module, _, attribute = self._paths[cmd_name][0].partition(":")
        command: click.Command = getattr(_imported(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        self._listing.format_commands(ctx, formatter)


cli = LazyGroup(
    COMMANDS,
    name="cli",
    help="Strandline: Matrix bots whose conversations say what a restart keeps.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _imported(module: str) -> Any:
    try:
        return import_module(module)
    except (ImportError, AttributeError) as error:
        names = import_module("strandline.cli.package_names")
        if problem := names.fatal_clashes():
            raise PackageClash(problem) from error
        raise


def main() -> None:
    """Run the command line; the process ends with its exit code."""
    try:
        _run()
    finally:
        is_written = _flush_output()
    if not is_written:
        sys.exit(1)


def _run() -> None:
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001  # the outermost handler: the operator reads its message
        known = _first_known(error)
        if known is not None:
            click.echo(printable(f"strandline: {known}", lines=True), err=True)
            sys.exit(2)
        _report_defect(error)
        sys.exit(1)


def _flush_output() -> bool:
    """Flush standard output; if that fails, discard the buffered output.

    The interpreter would otherwise flush again at its exit, fail, and replace the exit code by 120.

    Returns:
        Whether all output was written.
    """
    try:
        if sys.stdout is not None:  # it is None if file descriptor 1 is closed
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def _first_known(error: BaseException) -> StrandlineError | None:
    """Return the error that an operator can fix: ``error`` itself, or one in an exception group.

    None if there is no such error.
    """
    if isinstance(error, StrandlineError):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_first_known, error.exceptions)), None)
    return None


def _report_defect(error: Exception) -> None:
    """Write the traceback to standard output, like the log, and tell the operator what to do next.

    The advice goes to standard error.
    """
    if logging.root.handlers:
        logging.getLogger(__name__).critical("stopped by a defect", exc_info=error)
    else:
        with suppress(OSError):  # standard output may be what is broken
            click.echo(printable("".join(traceback.format_exception(error)), lines=True))
    click.echo(
        f"strandline: internal error ({printable(f'{type(error).__name__}: {error}')}); "
        "nothing that was acknowledged is lost; please report it with the log",
        err=True,
    )
