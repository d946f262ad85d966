"""The command line. Every error that an operator can mend is one line and exit code 2."""

import asyncio
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import click
import structlog

from durable import DataLock, Store
from durable.store.sqlite.transaction import INVITE
from fsm import StrandlineError
from fsm.values.ids import EventId
from fsm.values.text import printable
from strandline.authoring.starting import NotStarted, start
from strandline.cli import fatal
from strandline.cli.diagram import diagram
from strandline.cli.lint import lint
from strandline.cli.log import configure_log
from strandline.cli.package_names import Clash, clashes
from strandline.config.errors import PackageClash
from strandline.config.model import Config, load_config
from strandline.engine import bot
from strandline.engine.clock import clock_of


@click.command()
@click.argument("name")
def new(name: str) -> None:
    """Write a small project of your own into a new folder: a flow, its tests, its pictures."""
    try:
        root = start(name, Path.cwd())
    except NotStarted as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{root.name}/ is written. Next:\n")
    click.echo(f"  cd {root.name}")
    click.echo("  python -m pytest")
    click.echo(f"  strandline diagram {name.replace('-', '_')}.flows:Notes --format svg")


_log = structlog.get_logger(__name__)

_config_option = click.option(
    "--config",
    "config_path",
    default="config.yaml",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The config file; config.example.yaml explains every key.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Strandline: Matrix bots whose conversations say what a restart keeps."""


@cli.command()
@_config_option
def run(config_path: Path) -> None:
    """Run the bot until SIGTERM or Ctrl-C."""
    config = load_config(config_path)
    configure_log(as_json=config.log.format == "json", level=config.log.level)
    for clash in _harmless_clashes():
        _log.warning("another distribution has a package of the same name", problem=str(clash))
    fatal.arm(os.environ)
    asyncio.run(bot.run(config, clock_of(os.environ)))


@cli.group("config")
def config_group() -> None:
    """Look at the config."""


@config_group.command()
@_config_option
def check(config_path: Path) -> None:
    """Say what is wrong with the config, with file, line, key and remedy."""
    config = load_config(config_path)
    for clash in _harmless_clashes():
        click.echo(printable(f"warning: {clash}"), err=True)
    agents = ", ".join(agent.id for agent in config.agents)
    click.echo(f"{config_path} is fine: {config.homeserver.user_id}, agents {agents}")


cli.add_command(lint)
cli.add_command(diagram)
cli.add_command(new)


@cli.command()
def version() -> None:
    """Print the version."""
    click.echo(installed_version("strandline"))


@cli.group()
def parked() -> None:
    """Messages whose handling failed every time, and refused requests. Stop the bot first."""


@parked.command("list")
@_config_option
def parked_list(config_path: Path) -> None:
    """List them with their errors."""
    rows = _with_store(load_config(config_path), lambda store: store.parked())
    if not rows:
        click.echo("nothing is parked")
    for row in rows:
        at = datetime.fromtimestamp(row.parked_at_ms / 1000, UTC)
        columns = map(printable, (row.room_id, row.event_id, row.error))
        click.echo("  ".join((f"{at:%Y-%m-%d %H:%M:%S}", *columns)))


@parked.command("retry")
@_config_option
@click.argument("event_id")
def parked_retry(config_path: Path, event_id: str) -> None:
    """Have one handled again when the bot next starts."""
    _change(config_path, lambda store: store.retry_parked(EventId(event_id)), event_id)
    if event_id.startswith(INVITE):
        click.echo(f"{event_id} can't be read again: have the bot invited once more")
    else:
        click.echo(f"{event_id} will be handled again when the bot starts")


@parked.command("drop")
@_config_option
@click.argument("event_id")
def parked_drop(config_path: Path, event_id: str) -> None:
    """Give one up."""
    _change(config_path, lambda store: store.drop_parked(EventId(event_id)), event_id)
    click.echo(f"{event_id} is dropped")


def main() -> None:
    """Run the command line; the process ends with its exit code."""
    configure_log(as_json=False, level="info")  # until the config has been read
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001  # the last supervisor: its reader is the operator
        known = _first_known(error)
        if known is not None:
            click.echo(printable(f"strandline: {known}", lines=True), err=True)
            sys.exit(2)
        _log.critical("stopped by a defect", exc_info=True)
        click.echo(
            f"strandline: internal error ({printable(f'{type(error).__name__}: {error}')}); "
            "nothing that was "
            "acknowledged is lost; please report it with the log",
            err=True,
        )
        sys.exit(1)


def _harmless_clashes() -> list[Clash]:
    """Packages whose name another distribution uses too, while the code that runs is still ours.

    Raises:
        PackageClash: The code that runs is not all ours.
    """
    found = clashes()
    if fatal_ones := [str(clash) for clash in found if clash.is_fatal]:
        raise PackageClash("\n".join(fatal_ones))
    return found


def _first_known(error: BaseException) -> StrandlineError | None:
    """The error that an operator can mend, in or among what ended the program."""
    if isinstance(error, StrandlineError):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_first_known, error.exceptions)), None)
    return None


def _with_store(config: Config, work: Callable[[Store], Any]) -> Any:
    if not config.storage.database.exists():
        message = f"there is no {config.storage.database}; check --config and storage.data_dir"
        raise click.ClickException(message)

    async def work_with_store() -> Any:
        with DataLock(config.storage.database):
            store = await Store.open(config.storage.database, now=lambda: datetime.now(UTC))
            try:
                return await work(store)
            finally:
                await store.close()

    return asyncio.run(work_with_store())


def _change(config_path: Path, work: Callable[[Store], Any], event_id: str) -> None:
    if not _with_store(load_config(config_path), work):
        message = f"no parked message {event_id!r}; `strandline parked list` has them"
        raise click.ClickException(message)
