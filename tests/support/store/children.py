"""Programs that a test runs as a process of its own, to kill: ``python -m … NAME PATH``."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path

from durable.store import (
    Commit,
    DataLock,
    Handled,
    PlatformChatSequence,
    Progress,
    Store,
    UnfinishedAnswer,
)
from fsm import failpoints
from fsm.values.ids import EventId, SyncToken
from tests.support.store.opening import ROOM, open_store, row

WRITERS = 20


def report(line: str) -> None:
    """One write to the pipe: whole, or not at all."""
    os.write(1, f"{line}\n".encode())


async def commit_forever(store: Store, first: int) -> None:
    """Turns side by side, each reported once it is acknowledged."""

    async def turns(writer: int) -> None:
        for number in count(first):
            name = f"{writer}.{number}"
            await store.commit(
                Commit(
                    expected={f"a:{name}": None},
                    writes={f"a:{name}": "1", f"b:{name}": "1"},
                    outbox=(row(name),),
                    handled=Handled(EventId(f"${name}"), ROOM),
                )
            )
            report(name)

    await asyncio.gather(*map(turns, range(WRITERS)))


async def commits(path: Path) -> None:
    """Commit until killed."""
    report("begun")
    store = await open_store(path)
    await commit_forever(store, int(sys.argv[3]))


async def allocations(path: Path) -> None:
    """Allocate so many numbers at once, each reported when it is issued."""
    store = await open_store(path)
    sequence = PlatformChatSequence(store)

    async def allocate() -> None:
        report(await sequence.allocate())

    await asyncio.gather(*(allocate() for _ in range(int(sys.argv[3]))))
    await store.close()


async def one_of_each(path: Path) -> None:
    """Every kind of durable step once, each reported; killed at a failpoint."""
    point = sys.argv[3]

    def kill(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    if not sys.argv[4:]:
        failpoints.install(kill)
    store = await open_store(path)
    if sys.argv[4:]:
        failpoints.install(kill)
    asked = EventId("$asked")
    (begin, second) = await store.commit(
        Commit(
            writes={"a": "1", "b": "1"},
            outbox=(row("one", stream_of=asked), row("two")),
            stream_begins=UnfinishedAnswer(asked, ROOM),
            handled=Handled(EventId("$command"), ROOM),
        )
    )
    report("committed")
    await store.outbox.mark_delivered(begin, EventId("$head"))
    report("delivered")
    await store.outbox.park_row(second, "403")
    report("row parked")
    await store.parking.park_event(asked, ROOM, error="ValueError", attempts=5)
    report("event parked")
    await store.checkpoint.save(Progress(token=SyncToken("s1"), completed=(asked,)))
    report("advanced")
    await store.close()
    report("closed")


async def hold_lock(path: Path) -> None:
    """Hold the folder until killed."""
    with DataLock(path):
        report("held")
        await asyncio.sleep(60)


async def open_at(path: Path) -> None:
    """Open the database at the instant at which a file appears beside it."""
    signal_file = path.with_name(sys.argv[3])
    report("ready")
    while not os.path.exists(signal_file):  # noqa: PTH110  # spins on purpose
        pass
    store = await open_store(path)
    report("opened")
    await store.close()


PROGRAMS: dict[str, Callable[[Path], Awaitable[None]]] = {
    "commits": commits,
    "allocations": allocations,
    "one_of_each": one_of_each,
    "hold_lock": hold_lock,
    "open_at": open_at,
}


async def main() -> None:
    """Run the program that the command line names."""
    await PROGRAMS[sys.argv[1]](Path(sys.argv[2]))


if __name__ == "__main__":
    asyncio.run(main())
