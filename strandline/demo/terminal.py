"""The terminal chat: what you type goes out as a person's message, through the real API."""

import asyncio
import sys
from collections.abc import Callable

from strandline.demo.stage import Stage

Tell = Callable[[str], None]

HELP = "type to talk; /kill ends the bot by SIGKILL and starts it again; /quit removes everything"


async def chat(stage: Stage, tell: Tell) -> None:
    """Talk until /quit, or the end of the input."""
    tell(HELP)
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(_listen(stage))
        await _talk(stage, tell)
        listening.cancel()


async def _talk(stage: Stage, tell: Tell) -> None:
    lines = await _lines()
    while (line := await lines.get()) is not None:
        match line.strip():
            case "":
                continue
            case "/quit":
                return
            case "/kill":
                await stage.kill_bot(tell)
            case text if text.startswith("/"):
                tell(HELP)
            case text:
                await stage.person.say(stage.room_id, text)


async def _lines() -> asyncio.Queue[str | None]:
    """Standard input, line by line; None at its end."""
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        line = sys.stdin.readline()
        lines.put_nowait(line or None)
        if not line:
            loop.remove_reader(sys.stdin.fileno())

    loop.add_reader(sys.stdin.fileno(), read)
    return lines


async def _listen(stage: Stage) -> None:
    """Print what the bot says, and again what it edits."""
    shown: dict[str, str] = {}
    while True:
        for event in await stage.person.timeline(stage.room_id):
            if event.sender == stage.person.user_id or shown.get(event.event_id) == event.body:
                continue
            mark = "✎" if event.event_id in shown else " "
            shown[event.event_id] = event.body
            for number, line in enumerate(event.body.splitlines() or [""]):
                print(f"  bot {mark if not number else ' '} │ {line}", flush=True)  # noqa: T201
        await asyncio.sleep(0.2)
