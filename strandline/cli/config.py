"""The command ``config check``, and the option ``--config`` of all commands that read the file."""

from pathlib import Path

import click

from fsm.values.text import printable
from strandline.cli.package_names import Clash, clashes
from strandline.config.errors import PackageClash
from strandline.config.model import load_config

config_option = click.option(
    "--config",
    "config_path",
    default="config.yaml",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The config file; config.example.yaml explains every key.",
)


@click.group()
def config() -> None:
    """Check the config."""


@config.command()
@config_option
def check(config_path: Path) -> None:
    """Say what is wrong with the config, with file, line, key and remedy."""
    loaded = load_config(config_path)
    for clash in harmless_clashes():
        click.echo(printable(f"warning: {clash}"), err=True)
    agents = ", ".join(agent.id for agent in loaded.agents)
    click.echo(f"{config_path} is fine: {loaded.homeserver.user_id}, agents {agents}")


def harmless_clashes() -> list[Clash]:
    """Return the clashes of package names that do no harm: Strandline's own code is imported.

    Raises:
        PackageClash: Code of another distribution is imported instead of Strandline's.
    """
    found = clashes()
    if fatal := [str(clash) for clash in found if clash.is_fatal]:
        raise PackageClash("\n".join(fatal))
    return found
