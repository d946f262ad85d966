"""The same form on four frameworks: their lines, and what each loses when it is killed."""

import asyncio
import json
import tempfile
from pathlib import Path

import attrs
import click

from benchmarks.comparison import page
from benchmarks.comparison.bot_api import BotApi
from benchmarks.comparison.bots import aiogram_bot, maubot_bot, strandline_bot, telegram_bot
from benchmarks.comparison.crowd import Tally, Town
from benchmarks.comparison.peers import make_peers
from benchmarks.comparison.shores import MatrixShore, TelegramShore
from strandline.testing import Person, Synapse
from strandline.testing.processes import free_port

NAMES = ("strandline", "maubot", "telegram", "aiogram", "aiogram-one-by-one")


@click.command(help=__doc__)
@click.option("--people", default=8, show_default=True)
@click.option("--kills", default=40, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--only", type=click.Choice(NAMES), multiple=True, help="Only these bots.")
@click.option("--peers", type=click.Path(path_type=Path), default=Path(".venv-comparison"))
def main(people: int, kills: int, seed: int, only: tuple[str, ...], peers: Path) -> None:
    python = make_peers(peers.absolute())
    tallies: dict[str, Tally] = {}
    for name in only or NAMES:
        with tempfile.TemporaryDirectory() as folder:
            town = measure(name, Path(folder) / "bot", python, people, kills, seed)
            tallies[name] = asyncio.run(town)
        click.echo(f"{name}: {json.dumps(attrs.asdict(tallies[name]))}")
    click.echo(page.table(tallies))
    if not only:
        page.write(tallies, python, people=people, seed=seed)


async def measure(  # noqa: PLR0913, PLR0917
    name: str, folder: Path, python: Path, people: int, kills: int, seed: int
) -> Tally:
    if name in ("strandline", "maubot"):
        with Synapse() as synapse:
            account = synapse.register("bot")
            guests = [Person(synapse.url, synapse.register(f"guest{n}")) for n in range(people)]
            shore = MatrixShore(guests, account.user_id)
            if name == "strandline":
                bot = strandline_bot(folder, synapse, account)
                return await Town(bot, shore, seed=seed, people=people).run(kills)
            peer = maubot_bot(folder, python, synapse, account)
            return await Town(peer, shore, seed=seed, people=people).run(kills)
    api, port = BotApi(), free_port()
    await api.start(port)
    if name == "telegram":
        nursling, state = telegram_bot(folder, python, port), folder / "form.pickle"
    else:
        one_by_one = name != "aiogram"
        nursling = aiogram_bot(folder, python, port, one_by_one=one_by_one)
        state = folder / "form.db"
    try:
        town = Town(nursling, TelegramShore(api), seed=seed, people=people, state=state)
        return await town.run(kills)
    finally:
        nursling.close()


if __name__ == "__main__":
    main()
