"""The terminal chat: typed lines are sent as a user's messages, through the client-server API."""

import asyncio
import codecs
import os
import sys

from fsm.values.text import printable
from strandline.demo.setup import DemoSetup, Tell

HELP = (
    "type to talk (`!help` asks the bot what it can do); /kill ends the bot by SIGKILL and starts "
    "it again; /help says this; /quit removes everything"
)


async def chat(setup: DemoSetup, tell: Tell) -> None:
    """Send typed lines to the bot and print its messages, until /quit or the end of the input."""
    tell(HELP)
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(_listen(setup))
        await _talk(setup, tell)
        listening.cancel()


async def _talk(setup: DemoSetup, tell: Tell) -> None:
    lines = _lines()
    while (line := await lines.get()) is not None:
        match line.strip():
            case "":
                continue
            case "/quit":
                return
            case "/kill":
                await setup.kill_bot(tell)
            case text if text.startswith("/"):
                tell(HELP)
            case text:
                await setup.person.say(setup.room_id, text)


def _lines() -> asyncio.Queue[str | None]:
    """Return a queue that receives each line of standard input, and None at its end."""
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    loop, terminal = asyncio.get_running_loop(), sys.stdin.fileno()
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    begun = ""

    def read() -> None:  # not by readline, which would wait for the rest of a line
        nonlocal begun
        try:
            typed = os.read(terminal, 65536)
        except OSError:  # the terminal's window was closed
            typed = b""
        *whole, begun = (begun + decoder.decode(typed)).split("\n")
        for line in whole:
            lines.put_nowait(line)
        if not typed:
            loop.remove_reader(terminal)
            lines.put_nowait(None)

    loop.add_reader(terminal, read)
    return lines


async def _listen(setup: DemoSetup) -> None:
    """Print the bot's messages and edits."""
    shown: dict[str, str] = {}
    while True:
        for event in await setup.person.timeline(setup.room_id):
            if event.sender == setup.person.user_id or shown.get(event.event_id) == event.body:
                continue
            mark = "✎" if event.event_id in shown else " "
            shown[event.event_id] = event.body
            for number, line in enumerate(event.body.splitlines() or [""]):
                shown_mark = mark if not number else " "
                print(f"  bot {shown_mark} │ {printable(line)}", flush=True)  # noqa: T201
        await asyncio.sleep(0.2)
