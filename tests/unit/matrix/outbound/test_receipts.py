import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import unquote

from fsm.values.ids import EventId, RoomId
from matrix import Homeserver, Receipts
from matrix.outbound.receipts import TYPING_DELAY_SECONDS, TYPING_RENEWAL_SECONDS
from tests.support.fakes.homeserver import Answer, ScriptedHomeserver
from tests.support.sync_answers import ROOM

OTHER = RoomId("!other")


class Clock:
    """A clock that goes on when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def at_work(courtesy: Receipts) -> AsyncIterator[Receipts]:
    running = asyncio.ensure_future(courtesy.run())
    try:
        yield courtesy
    finally:
        running.cancel()


async def read(server: ScriptedHomeserver, most: int) -> list[str]:
    """What was shown as read, once it is as much as ``most``."""
    requests = await server.was_asked("rooms.receipt", most)
    return [unquote(request.path).rpartition("/")[2] for request in requests]


async def typing(server: ScriptedHomeserver, most: int) -> list[bool]:
    return [request.body["typing"] for request in await server.was_asked("rooms.typing", most)]


async def test_the_newest_of_each_room_is_shown_as_read(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    courtesy = Receipts(homeserver)
    for number in range(100):
        courtesy.mark_read(ROOM, EventId(f"${number}"))
    courtesy.mark_read(OTHER, EventId("$other"))

    async with at_work(courtesy):
        shown = await read(server, 2)
        await asyncio.sleep(0.05)

    assert set(shown) == {"$99", "$other"}
    assert len(server.asked("rooms.receipt")) == 2


async def test_a_receipt_that_is_not_taken_is_dropped_and_the_next_is_shown(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    await server.script(
        "rooms.receipt",
        Answer(403, {"errcode": "M_FORBIDDEN"}),
        Answer(502, b""),
        Answer(fault="reset"),
        Answer(429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 20}),
    )

    async with at_work(Receipts(homeserver)) as courtesy:
        for number in range(5):
            courtesy.mark_read(ROOM, EventId(f"${number}"))
            shown = await read(server, number + 1)

    assert shown == ["$0", "$1", "$2", "$3", "$4"]


async def test_a_homeserver_that_asks_for_quiet_gets_it(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    limit = Answer(429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 300})
    await server.script("rooms.receipt", limit)
    loop = asyncio.get_running_loop()

    async with at_work(Receipts(homeserver)) as courtesy:
        begun = loop.time()
        courtesy.mark_read(ROOM, EventId("$1"))
        await read(server, 1)
        for number in range(50):
            courtesy.mark_read(ROOM, EventId(f"$later{number}"))
        shown = await read(server, 2)

    assert loop.time() - begun > 0.25
    assert shown[1] == "$later49"


async def test_work_that_takes_a_while_shows_as_typing_until_it_ends(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    clock = Clock()
    async with at_work(Receipts(homeserver, monotonic=clock)) as courtesy:
        with courtesy.typing(ROOM):
            clock.now += TYPING_DELAY_SECONDS
            courtesy.mark_read(OTHER, EventId("$1"))  # wakes it up
            assert await typing(server, 1) == [True]
            clock.now += TYPING_RENEWAL_SECONDS
            courtesy.mark_read(OTHER, EventId("$2"))
            assert await typing(server, 2) == [True, True]
        assert await typing(server, 3) == [True, True, False]

    timeouts = [request.body.get("timeout") for request in server.asked("rooms.typing")]
    assert timeouts == [30_000, 30_000, None]


async def test_work_that_is_done_at_once_does_not_show(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    async with at_work(Receipts(homeserver)) as courtesy:
        with courtesy.typing(ROOM):
            await asyncio.sleep(0)
        courtesy.mark_read(ROOM, EventId("$1"))
        await read(server, 1)

    assert server.asked("rooms.typing") == []


async def test_two_works_in_a_room_show_until_both_have_ended(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    clock = Clock()
    async with at_work(Receipts(homeserver, monotonic=clock)) as courtesy:
        with courtesy.typing(ROOM):
            with courtesy.typing(ROOM):
                clock.now += TYPING_DELAY_SECONDS
                courtesy.mark_read(OTHER, EventId("$1"))
                assert await typing(server, 1) == [True]
            courtesy.mark_read(OTHER, EventId("$2"))
            await read(server, 2)
            assert len(server.asked("rooms.typing")) == 1
        assert await typing(server, 2) == [True, False]


async def test_work_goes_on_where_nobody_shows_it(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    clock, done = Clock(), []
    courtesy = Receipts(homeserver, monotonic=clock)

    async with asyncio.timeout(10):
        for number in range(3):
            with courtesy.typing(ROOM):
                clock.now += TYPING_DELAY_SECONDS
                courtesy.mark_read(ROOM, EventId(f"${number}"))
                await asyncio.sleep(0)
                done.append(number)

    assert done == [0, 1, 2]
    assert server.asked("rooms.typing") == server.asked("rooms.receipt") == []


async def test_work_goes_on_where_typing_is_not_taken(
    server: ScriptedHomeserver, homeserver: Homeserver
) -> None:
    clock, done = Clock(), False
    held = asyncio.Event()
    await server.script("rooms.typing", Answer(500, b"", held=held))

    async with asyncio.timeout(10), at_work(Receipts(homeserver, monotonic=clock)) as courtesy:
        with courtesy.typing(ROOM):
            clock.now += TYPING_DELAY_SECONDS
            courtesy.mark_read(OTHER, EventId("$1"))
            await typing(server, 1)
            done = True
        assert done, "while the homeserver has not answered yet"
        held.set()
        assert await typing(server, 2) == [True, False]
