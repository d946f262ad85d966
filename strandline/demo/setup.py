"""Sets up the chat demo or the script demo: a temporary homeserver, a bot, a user and a room."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from attrs import frozen

from fsm.values.ids import RoomId, UserId
from strandline.testing import BotProcess, Credentials, Person, Synapse
from strandline.testing.bot import config_for

Tell = Callable[[str], None]

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
class DemoSetup:
    """The running parts of the demo: the homeserver, the bot, and a user in a room with the bot."""

    synapse: Synapse
    bot: BotProcess
    bot_id: UserId
    person: Person
    room_id: RoomId

    async def kill_bot(self, tell: Tell) -> None:
        """Kill the bot's process by SIGKILL, start the bot again, and report how long that took.

        ``tell`` is called with each line of the report.
        """
        tell(f"SIGKILL to the bot (process {self.bot.pid}) …")
        await self.bot.kill()
        began = time.perf_counter()
        await self.bot.start()
        seconds = time.perf_counter() - began
        tell(f"it is back as process {self.bot.pid}, ready after {seconds:.1f} s")


@asynccontextmanager
async def set_up(tell: Tell) -> AsyncIterator[DemoSetup]:
    """Start all parts of the demo and yield them; stop and remove everything at the end.

    ``tell`` is called with a line before each slow step.
    """
    async with AsyncExitStack() as stack:
        stack.callback(tell, "everything is stopped and removed")
        tell("starting a throwaway Synapse …")
        synapse = await _synapse(stack)
        tell(f"Synapse listens on {synapse.url}; registering a bot and a person …")
        account = synapse.register("strandline")
        bot = _bot(stack, synapse, account)
        tell("starting the bot …")
        await bot.start()
        tell(f"the bot runs as process {bot.pid}; its data and log are in {bot.directory}")
        person = await stack.enter_async_context(Person(synapse.url, synapse.register("you")))
        room_id = await person.create_room(invite=[account.user_id], name="Strandline demo")
        yield DemoSetup(
            synapse=synapse, bot=bot, bot_id=account.user_id, person=person, room_id=room_id
        )


async def _synapse(stack: AsyncExitStack) -> Synapse:
    synapse = Synapse()
    stack.callback(shutil.rmtree, synapse.directory, ignore_errors=True)
    stack.callback(synapse.kill)
    starting = asyncio.ensure_future(asyncio.to_thread(synapse.start))
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:  # Ctrl-C: the thread may be about to start the process
        synapse.kill()
        with suppress(Exception):  # killed while it starts: its error message is expected
            await starting
        raise
    return synapse


def _bot(stack: AsyncExitStack, synapse: Synapse, account: Credentials) -> BotProcess:
    directory = Path(tempfile.mkdtemp(prefix="strandline-demo-"))
    stack.callback(shutil.rmtree, directory, ignore_errors=True)
    config = config_for(
        synapse.url,
        account,
        agents=AGENTS,
        limits={"edit_seconds": 0.5, "stop_seconds": 2},
        rooms={"onboarding": "none"},  # one room is enough to see a restart
    )
    bot = BotProcess(directory, config)
    stack.push_async_callback(bot.kill)
    return bot
