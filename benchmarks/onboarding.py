"""Many people invite the bot at once: how long until each has a Space and a first chat in it.

Beside it stands the homeserver's own floor: the same number of bare ``createRoom`` calls, by one
client, as many at a time as the bot makes.
"""

import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from fsm.values.ids import RoomId, UserId
from strandline.testing import BotProcess, Person, Synapse
from strandline.testing.bot import config_for

AT_A_TIME = 8
"""So many requests of one kind at a time, as the bot has it for rooms."""


@click.command(help=__doc__)
@click.option("--people", default=500, show_default=True)
@click.option("--default-limits", is_flag=True, help="Synapse's own rate limits stay in force.")
@click.option("--minutes", default=20.0, show_default=True, help="Give up after this time.")
def main(people: int, default_limits: bool, minutes: float) -> None:  # noqa: FBT001
    with Synapse(limited=default_limits) as synapse, tempfile.TemporaryDirectory() as folder:
        is_whole = asyncio.run(measure(synapse, Path(folder), people, minutes * 60))
    sys.exit(0 if is_whole else 1)


async def measure(synapse: Synapse, folder: Path, people: int, most_seconds: float) -> bool:
    credentials = synapse.register("bot")
    agents = [{"id": "echo", "name": "Echo", "kind": "echo"}]
    bot = BotProcess(folder, config_for(synapse.url, credentials, agents=agents))
    guests = [Person(synapse.url, synapse.register(f"guest{n}")) for n in range(people)]
    await bot.start()
    try:
        return await _measure(synapse, bot, credentials.user_id, guests, most_seconds)
    finally:
        await bot.stop()
        for guest in guests:
            await guest.close()


async def _measure(
    synapse: Synapse, bot: BotProcess, user_id: UserId, guests: list[Person], most_seconds: float
) -> bool:
    lobbies = await _gather([_room(guest) for guest in guests])
    begun = time.monotonic()
    pairs = zip(guests, lobbies, strict=True)
    await _gather([_invite(guest, lobby, user_id) for guest, lobby in pairs])
    invited = time.monotonic() - begun
    while len(_values(bot, "chat:")) < len(guests) and time.monotonic() - begun < most_seconds:
        await asyncio.sleep(0.25)
    onboarded = time.monotonic() - begun
    while _owed(bot) and time.monotonic() - begun < most_seconds:
        await asyncio.sleep(0.25)
    delivered = time.monotonic() - begun
    faults = await _faults(bot, guests)
    floor = await _floor(synapse, 2 * len(guests))
    click.echo(f"people={len(guests)} invited_s={invited:.1f} onboarded_s={onboarded:.1f}")
    click.echo(f"everything_delivered_s={delivered:.1f} rooms={2 * len(guests)}")
    click.echo(f"floor_s={floor:.1f} ratio={delivered / floor:.2f} faults={len(faults)}")
    for fault in faults[:20]:
        click.echo(f"  {fault}")
    return not faults


async def _faults(bot: BotProcess, guests: list[Person]) -> list[str]:
    faults = []
    users, rooms, chats = (_values(bot, p) for p in ("matrix_user:", "matrix_room:", "chat:"))
    issued = sorted(int(r["platform_chat_id"]) for r in rooms.values() if r["platform_chat_id"])
    if issued != list(range(1, len(guests) + 1)):
        faults.append(f"platform chat ids are not 1 to {len(guests)}: {issued[:5]} …")
    for guest in guests:
        user = users.get(guest.user_id, {})
        if user.get("next_chat_index") != 2 or not user.get("space_id"):
            faults.append(f"{guest.user_id}: {user}")
            continue
        wanted = {user["space_id"], chats[f"{guest.user_id}:C1"]["room_id"]}
        if (invites := set(await guest.invites())) != wanted:
            faults.append(f"{guest.user_id} is invited to {invites}, not {wanted}")
    return faults


async def _floor(synapse: Synapse, rooms: int) -> float:
    """How long the homeserver takes for so many rooms by itself."""
    maker = Person(synapse.url, synapse.register("maker"))
    begun = time.monotonic()
    await _gather([_room(maker) for _ in range(rooms)])
    await maker.close()
    return time.monotonic() - begun


def _room(person: Person) -> Callable[[], Awaitable[RoomId]]:
    return lambda: _patiently(person.create_room)


def _invite(person: Person, room: RoomId, user_id: UserId) -> Callable[[], Awaitable[None]]:
    return lambda: _patiently(lambda: person.invite(room, user_id))


async def _patiently(ask: Callable[[], Awaitable[Any]]) -> Any:
    """Ask again for as long as the homeserver's rate limits say no."""
    while True:
        try:
            return await ask()
        except Exception as error:
            if "M_LIMIT_EXCEEDED" not in str(error):
                raise
            await asyncio.sleep(1)


async def _gather(asks: list[Callable[[], Awaitable[Any]]]) -> list[Any]:
    places = asyncio.Semaphore(AT_A_TIME)

    async def one(ask: Callable[[], Awaitable[Any]]) -> Any:
        async with places:
            return await ask()

    return list(await asyncio.gather(*(one(ask) for ask in asks)))


def _values(bot: BotProcess, prefix: str) -> dict[str, dict[str, Any]]:
    with closing(sqlite3.connect(f"file:{bot.database}?mode=ro", uri=True)) as db:
        rows = db.execute(
            "SELECT substr(key, ?), value FROM kv WHERE substr(key, 1, ?) = ?",
            (len(prefix) + 1, len(prefix), prefix),
        ).fetchall()
    return {key: json.loads(value) for key, value in rows}


def _owed(bot: BotProcess) -> int:
    with closing(sqlite3.connect(f"file:{bot.database}?mode=ro", uri=True)) as db:
        (count,) = db.execute("SELECT count(*) FROM outbox WHERE parked_error IS NULL").fetchone()
    return int(count)


if __name__ == "__main__":
    main()
