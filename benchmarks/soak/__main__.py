"""``python -m benchmarks.soak``: see ``--help``."""

import asyncio
import logging
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

import click
from attrs import evolve

from benchmarks.soak.run import Report, soak
from benchmarks.soak.settings import Settings

_DEFAULT = Settings()

say = partial(click.echo, err=False)


@click.command()
@click.option("--kills", type=int, help="How often the bot is killed (100 without --minutes).")
@click.option("--minutes", type=float, help="How long, instead of until all kills are done.")
@click.option("--seed", default=_DEFAULT.seed, show_default=True)
@click.option("--people", default=_DEFAULT.people, show_default=True)
@click.option("--rooms", default=_DEFAULT.rooms, show_default=True)
@click.option("--rate", default=_DEFAULT.rate, show_default=True, help="Messages a second.")
@click.option("--work", default=0.0, show_default=True, help="Seconds an answer takes.")
@click.option("--no-synapse-kills", is_flag=True, help="Kill the bot only.")
@click.option("--default-rate-limits", is_flag=True, help="As users have them; lower the rate.")
@click.option("--bot", type=click.Choice(["strandline", "nio"]), default="strandline")
@click.option("--compare", is_flag=True, help="Both bots one after the other, with plain texts.")
@click.option("--keep", is_flag=True, help="Keep data, log and timelines; say where.")
def main(  # noqa: PLR0913  # one for each option
    *,
    kills: int | None,
    minutes: float | None,
    seed: int,
    people: int,
    rooms: int,
    rate: float,
    work: float,
    no_synapse_kills: bool,
    default_rate_limits: bool,
    bot: str,
    compare: bool,
    keep: bool,
) -> None:
    """Kill a bot at random instants while people talk to it; count what they got.

    SIGTERM ends the talking early; what was said is counted all the same.
    """
    # the encrypting people's client says so at each try while Synapse is away
    logging.getLogger("nio").setLevel(logging.CRITICAL)
    settings = Settings(
        seed=seed,
        kills=100 if kills is None and minutes is None else kills,
        minutes=minutes,
        people=people,
        rooms=rooms,
        rate=rate,
        work_seconds=work,
        synapse_every=0 if no_synapse_kills else _DEFAULT.synapse_every,
        limited=default_rate_limits,
        mixed=not compare and bot == "strandline",
        bot=bot,
    )
    bots = ["strandline", "nio"] if compare else [bot]
    reports = [_run(evolve(settings, bot=name), keep=keep) for name in bots]
    if compare:
        for report in reports:
            say(f"{report.settings.bot}: {report.line}")
    if not reports[0].verdict.spotless:
        sys.exit(1)


def _run(settings: Settings, *, keep: bool) -> Report:
    directory = Path(tempfile.mkdtemp(prefix="strandline-soak-"))
    try:
        report = asyncio.run(soak(settings, directory, say))
    finally:
        if keep:
            say(f"data, log and timelines: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    if report.faults:
        say(report.faults)
    say(report.details)
    say(report.line)
    return report


if __name__ == "__main__":
    main()
