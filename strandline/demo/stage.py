"""What both forms of the demo need: a homeserver, a bot, a person and a room, gone afterwards."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

from fsm.ids import RoomId, UserId
from strandline.testing import BotProcess, Person, Synapse
from strandline.testing.bot import config_for

AGENTS: list[dict[str, Any]] = [
    {"id": "agent-1", "name": "Agent One", "kind": "echo", "description": "answers at once"},
    {
        "id": "agent-2",
        "name": "Agent Two",
        "kind": "echo",
        "description": "answers slowly, in pieces",
        "options": {"chunks": 6, "chunk_seconds": 0.4},
    },
]


@frozen(kw_only=True)
class Stage:
    """Everything that is set up."""

    synapse: Synapse
    bot: BotProcess
    bot_id: UserId
    person: Person
    room_id: RoomId

    async def kill_bot(self, tell: Callable[[str], None]) -> None:
        """SIGKILL, and a new life, timed."""
        tell(f"SIGKILL to the bot (process {self.bot.pid}) …")
        await self.bot.kill()
        began = time.perf_counter()
        await self.bot.start()
        seconds = time.perf_counter() - began
        tell(f"it is back as process {self.bot.pid}, ready after {seconds:.1f} s")


@asynccontextmanager
async def set_up(tell: Callable[[str], None]) -> AsyncIterator[Stage]:
    """Start all of it; say what takes a while."""
    tell("starting a throwaway Synapse …")
    synapse = await asyncio.to_thread(Synapse)
    directory = Path(tempfile.mkdtemp(prefix="strandline-demo-"))
    bot: BotProcess | None = None
    try:
        await asyncio.to_thread(synapse.start)
        tell(f"Synapse listens on {synapse.url}; registering a bot and a person …")
        account = synapse.register("strandline")
        config = config_for(
            synapse.url, account, agents=AGENTS, limits={"edit_seconds": 0.5, "stop_seconds": 2}
        )
        bot = BotProcess(directory, config)
        tell("starting the bot …")
        await bot.start()
        tell(f"the bot runs as process {bot.pid}; its data and log are in {directory}")
        async with Person(synapse.url, synapse.register("you")) as person:
            room_id = await person.create_room(invite=[account.user_id], name="Strandline demo")
            yield Stage(
                synapse=synapse,
                bot=bot,
                bot_id=account.user_id,
                person=person,
                room_id=room_id,
            )
    finally:
        if bot is not None:
            await bot.kill()
        synapse.kill()
        shutil.rmtree(synapse.directory, ignore_errors=True)
        shutil.rmtree(directory, ignore_errors=True)
        tell("everything is stopped and removed")
