"""The command ``diagram``."""

import sys
from pathlib import Path

import click

from fsm import Flow
from strandline.authoring import drawing
from strandline.authoring.rendering import NotDrawn
from strandline.config.file import flows_named_in
from strandline.flows.builtin import FLOWS
from strandline.flows.discovery import NotFound, can_import_from, flow_at


@click.command()
@click.argument("flows", metavar="[FLOW]…", nargs=-1)
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="Draw the flows of this config.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(drawing.FORMS)),
    default="mermaid",
    show_default=True,
    help="What to draw. Files of mermaid are pages of Markdown.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write a file for each flow, and index for all, into this folder.",
)
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 if a file is out of date.")
def diagram(
    flows: tuple[str, ...], config_path: Path | None, form: str, output: Path | None, *, check: bool
) -> None:
    """Draw flows: package.module:Class, or a built-in one by its name; by default all of these."""
    can_import_from(Path.cwd())
    try:
        chosen = _chosen(flows, config_path)
        if output is None:
            _print(chosen, form, check=check)
        elif check:
            _check(chosen, form, output)
        else:
            drawing.write(chosen, form, output)
            plural = "" if len(chosen) == 1 else "s"
            click.echo(f"{len(chosen)} flow{plural} drawn in {output}")
    except (NotFound, NotDrawn, OSError) as error:
        raise click.ClickException(str(error)) from error


def _chosen(names: tuple[str, ...], config_path: Path | None) -> list[type[Flow]]:
    own = {flow.name: flow for flow in FLOWS} | {flow.__name__: flow for flow in FLOWS}
    chosen = [own[name] if name in own else flow_at(name) for name in names]
    if config_path is not None:
        can_import_from(config_path.parent.absolute())
        chosen += [flow_at(path) for path in flows_named_in(config_path)]
    return chosen or list(FLOWS)


def _print(flows: list[type[Flow]], form: str, *, check: bool) -> None:
    if check:
        raise click.UsageError("--check compares files; say with --output where they are")
    if form == "png":
        raise click.UsageError("a PNG is no text; say with --output where to write it")
    if form == "svg" and len(flows) > 1:
        raise click.UsageError("several pictures are several files; say with --output where")
    for flow in flows:
        click.echo(drawing.FORMS[form].one(flow), nl=False)


def _check(flows: list[type[Flow]], form: str, output: Path) -> None:
    old = drawing.out_of_date(flows, form, output)
    for path in old:
        click.echo(f"{path} is out of date; draw without --check, or delete it", err=True)
    if old:
        sys.exit(1)
    click.echo(f"{output} is up to date")
