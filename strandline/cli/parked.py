"""The commands ``parked list``, ``parked retry`` and ``parked drop``."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from durable.store import INVITE_ID_PREFIX, DataLock, SqliteStore, Store
from fsm.values.ids import EventId
from fsm.values.text import printable
from strandline.cli.config import config_option
from strandline.cli.log import configure_log
from strandline.config.model import Config, load_config


@click.group()
def parked() -> None:
    """List, retry or drop messages and requests that failed every time. Stop the bot first."""
    configure_log(as_json=False, level="info")


@parked.command("list")
@config_option
def parked_list(config_path: Path) -> None:
    """List the parked messages and requests, each with its error."""
    rows = _with_store(load_config(config_path), lambda store: store.parking.list_parked())
    if not rows:
        click.echo("nothing is parked")
    for row in rows:
        at = datetime.fromtimestamp(row.parked_at_ms / 1000, UTC)
        columns = map(printable, (row.room_id, row.event_id, row.error))
        click.echo("  ".join((f"{at:%Y-%m-%d %H:%M:%S}", *columns)))


@parked.command("retry")
@config_option
@click.argument("event_id")
def parked_retry(config_path: Path, event_id: str) -> None:
    """Handle a parked message or request again when the bot next starts."""
    _change(config_path, lambda store: store.parking.retry(EventId(event_id)), event_id)
    if event_id.startswith(INVITE_ID_PREFIX):
        click.echo(f"{event_id} can't be read again: have the bot invited once more")
    else:
        click.echo(f"{event_id} will be handled again when the bot starts")


@parked.command("drop")
@config_option
@click.argument("event_id")
def parked_drop(config_path: Path, event_id: str) -> None:
    """Delete a parked message or request without a further attempt."""
    _change(config_path, lambda store: store.parking.drop(EventId(event_id)), event_id)
    click.echo(f"{event_id} is dropped")


def _with_store(config: Config, work: Callable[[Store], Any]) -> Any:
    if not config.storage.database.exists():
        message = f"there is no {config.storage.database}; check --config and storage.data_dir"
        raise click.ClickException(message)

    async def work_with_store() -> Any:
        with DataLock(config.storage.database):
            store = await SqliteStore.open(config.storage.database, now=lambda: datetime.now(UTC))
            try:
                return await work(store)
            finally:
                await store.close()

    return asyncio.run(work_with_store())


def _change(config_path: Path, work: Callable[[Store], Any], event_id: str) -> None:
    if not _with_store(load_config(config_path), work):
        message = f"no parked message {event_id!r}; `strandline parked list` has them"
        raise click.ClickException(message)
