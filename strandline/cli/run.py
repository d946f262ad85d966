"""The command ``run``."""

import asyncio
import os
from pathlib import Path

import click
import structlog

from strandline.cli import fatal
from strandline.cli.config import config_option, harmless_clashes
from strandline.cli.log import configure_log
from strandline.config.model import load_config
from strandline.engine import bot
from strandline.engine.clock import clock_of

_log = structlog.get_logger(__name__)


@click.command()
@config_option
def run(config_path: Path) -> None:
    """Run the bot until SIGTERM or Ctrl-C."""
    configure_log(as_json=False, level="info")  # until the config has been read
    config = load_config(config_path)
    configure_log(as_json=config.log.format == "json", level=config.log.level)
    for clash in harmless_clashes():
        _log.warning("another distribution has a package of the same name", problem=str(clash))
    fatal.arm(os.environ)
    asyncio.run(bot.run(config, clock_of(os.environ)))
