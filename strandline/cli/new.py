"""The command ``new``."""

from pathlib import Path

import click

from strandline.authoring.starting import NotStarted, start


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
